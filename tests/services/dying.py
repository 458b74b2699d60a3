"""Trainings in processes that are killed, or put to sleep, at one of their writes to the disk.

Run as a program: `dying.py FOLDER DATA MLLIB kill|sleep STEP` tries every STEP-th write and prints
what came of it as JSON. Processes are forked from one that has everything imported and has computed
nothing yet.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from dd_ray.attempts import close_job, open_job
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.history import History
from dd_ray.services.ports import Point, Work
from dd_ray.services.training import train

MLLIBS = {
    "xgboost": {
        "nclasses": 3,
        "iterations": 3,
        "save_period": 2,
        "booster_params": {"subsample": 0.7, "colsample": 0.5},
    },
    "torch": {
        "nclasses": 3,
        "template": "mlp",
        "layers": [4],
        "seed": 1,
        "solver": {"iterations": 2, "snapshot": 2, "test_interval": 1, "base_lr": 0.1},
    },
}


def work(path: Path, data: str, mllib: str) -> Work:
    path.mkdir(parents=True)
    call = {
        "parameters": {
            "input": {"label": "target", "id": "id", "shuffle": True, "seed": 5, "test_split": 0.2},
            "mllib": MLLIBS[mllib],
            "output": {"measure": ["acc"]},
        },
        "data": [data],
    }
    definition = ServiceDefinition(
        name="s",
        mllib=mllib,
        connector="csv",
        type="supervised",
        description="",
        repository=str(path),
        parameters={"input": {"connector": "csv"}},
    )
    return Work(definition=definition, job=1, key="k", attempt=1, call=call, checkpoint_s=0.0)


def attempt(given: Work, number: int, *, at_write: Callable[[int], None] = lambda _: None) -> None:
    """Trains, keeping what is reported as the state would, and its result or error."""
    kept = Path(given.definition.repository).with_suffix(".points")
    writes, sync = 0, os.fsync

    def counted(descriptor: int) -> None:
        nonlocal writes
        sync(descriptor)
        writes += 1
        at_write(writes)

    def report(point: Point) -> None:
        with kept.open("a") as file:
            file.write(json.dumps([number, point]) + "\n")

    open_job(given.definition.repository, given.key)
    os.fsync = counted
    try:
        body = train(
            replace(given, attempt=number),
            report=report,
            stopped=lambda: False,
            clock=lambda: 0.0,  # a checkpoint is always due
        )
        result: Any = body["measure"]
    except Exception as exc:
        result = type(exc).__name__
    finally:
        os.fsync = sync
    kept.with_suffix(f".result{number}").write_text(json.dumps([result, writes]))
    kept.with_suffix(".modules").write_text(json.dumps(list(sys.modules)))


def forked(*args: Any, **kwargs: Any) -> int:
    """The process of an attempt."""
    child = os.fork()
    if child == 0:
        try:
            attempt(*args, **kwargs)
        finally:
            os._exit(0)
    return child


def finished(*args: Any, **kwargs: Any) -> None:
    os.waitpid(forked(*args, **kwargs), 0)


def outcome(given: Work, number: int) -> Any:
    path = Path(given.definition.repository).with_suffix(f".result{number}")
    return json.loads(path.read_text()) if path.exists() else [None, 0]


def left(given: Work) -> dict[str, Any]:
    """The files of a training, its result and its history."""
    repository = Path(given.definition.repository)
    close_job(str(repository), "k")
    files = {
        path.name: content(path)
        for path in sorted(repository.iterdir())
        if not path.name.startswith(".dd-ray")
    }
    history = History()
    attempts = [json.loads(line) for line in repository.with_suffix(".points").open()]
    newest = 0
    for number, point in attempts:
        newest = max(newest, number)
        if number == newest:  # the state takes no more of an attempt when a newer one has begun
            history.add(point)
    return {"files": files, "history": history.series(0)}


def content(path: Path) -> Any:
    """What a file says: archives of PyTorch hold more than that."""
    if path.suffix in (".npt", ".pt"):
        import torch

        return repr(torch.load(path, weights_only=True))
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    data, mllib, how = sys.argv[2:5]
    folder, step = Path(sys.argv[1]), int(sys.argv[5])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one thread is enough for a few rows
    unbroken = work(folder / "unbroken", data, mllib)
    finished(unbroken, 1)
    for name in json.loads((folder / "unbroken.modules").read_text()):
        with suppress(Exception):  # some cannot be imported by themselves
            import_module(name)
    measure, writes = outcome(unbroken, 1)
    expected = left(unbroken)
    wrong = []
    # one that sleeps after its last write has its result and will say so
    for number in range(1, writes + (how == "kill"), step):
        given = work(folder / str(number), data, mllib)
        strike = signal.SIGKILL if how == "kill" else signal.SIGSTOP

        def at_write(count: int, number: int = number, strike: int = strike) -> None:
            if count == number:
                os.kill(os.getpid(), strike)

        first = forked(given, 1, at_write=at_write)
        os.waitpid(first, os.WUNTRACED)
        finished(given, 2)
        second = outcome(given, 2)[0]
        found = left(given)
        if how == "sleep":
            os.kill(first, signal.SIGCONT)
            os.waitpid(first, 0)
            if outcome(given, 1)[0] != "Superseded" or left(given) != found:
                wrong.append([number, "the sleeper woke up", outcome(given, 1)])
        if (second, found) != (measure, expected):
            wrong.append([number, second, found])
    json.dump({"writes": writes, "measure": measure, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main()
