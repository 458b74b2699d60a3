"""Killing processes of a server, and what its clients see meanwhile."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from dd_ray.services.store import FILE
from tests.api.client import Client
from tests.cluster.load import SOON_S, Load, eventually
from tests.cluster.servers import Server
from tests.disks import Disk

ROW = "5.1,3.5,1.4,0.2"
INPUT = {"label": "target", "id": "id", "shuffle": True, "test_split": 0.2, "seed": 3}
OUTPUT = {"measure": ["acc", "mcll"]}
MLLIB = {
    "iterations": 2500,
    "test_interval": 25,
    "booster_params": {"subsample": 0.7, "colsample": 0.5, "max_depth": 3},
}
"""A training of a few seconds, in which chance has a part."""

PAUSE_S = 0.01
"""Between two calls of a client, where faults are the point and not how many calls there are."""


@contextmanager
def predicting(url: str, service: str, headers: dict[str, str] | None = None) -> Iterator[Load]:
    body = {"service": service, "data": [ROW]}
    with Load(url, [("POST", "/predict", body)], headers=headers, pause_s=PAUSE_S) as load:
        yield load


def processes(server: Server, *words: str) -> list[psutil.Process]:
    """The processes of a server whose command lines have these words."""
    return [
        each
        for each, command in server.commands().items()
        if all(word in " ".join(command) for word in words)
    ]


def process(server: Server, *words: str) -> psutil.Process:
    """The one process of a server whose command line has these words, once it is there."""
    (only,) = eventually(lambda: len(found := processes(server, *words)) == 1 and found)
    assert isinstance(only, psutil.Process)
    return only


def api(server: Server) -> psutil.Process:
    """The replica of the API."""
    return process(server, "ServeReplica:dd-ray-api")


def edge(server: Server) -> psutil.Process:
    """The HAProxy that clients call; Serve has another one, which is no child of the server."""
    (only,) = eventually(
        lambda: [
            child
            for child in psutil.Process(server.process.pid).children()
            if child.name() == "haproxy"
        ]
    )
    assert isinstance(only, psutil.Process)
    return only


def kill(dying: psutil.Process) -> None:
    """Kills a process and waits until it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        dying.kill()
    psutil.wait_procs([dying], 10)


def kill_everything(server: Server) -> None:
    """What a power cut does to the processes of a server."""
    family = [psutil.Process(server.process.pid), *server.children()]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, 10)
    server.stop()


def trained(wire: Client, name: str, path: Path, data: str) -> None:
    """A service with a small model."""
    assert wire.create(name, str(path), mllib={"nclasses": 3})[0] == 201
    assert wire.train(name, data, input=INPUT, mllib={"iterations": 5})[0] == 201


def begun(wire: Client, name: str, path: Path, data: str, **mllib: Any) -> None:
    """A service with a training under way."""
    assert wire.create(name, str(path), mllib={"nclasses": 3})[0] == 201
    given = {"input": INPUT, "mllib": MLLIB | mllib, "output": OUTPUT}
    assert wire.train(name, data, blocking=False, **given)[0] == 201


def iteration(wire: Client, name: str) -> int:
    """Where a training is that runs."""
    code, answer = wire.call("GET", f"/train?service={name}&job=1")
    assert (code, answer["head"]["status"]) == (200, "running"), answer
    return int(answer["body"]["measure"].get("iteration", -1))


def checkpointed(path: Path, *, after: int = 0) -> int:
    """The iteration of the last checkpoint of the training in a repository; 0 if not after that."""
    try:
        (marker,) = path.glob(".job-*/checkpoint.json")
        done: int = json.loads(marker.read_text())["done"]
    except (ValueError, FileNotFoundError):
        return 0
    return done if done > after else 0


def report(wire: Client, name: str, *, within_s: float = SOON_S) -> Any:
    """The final report of a training, with its history."""
    query = f"service={name}&job=1&timeout=60&parameters.output.measure_hist=true"

    def ended() -> Any:
        code, answer = wire.call("GET", f"/train?{query}&parameters.output.max_hist_points=0")
        assert code == 200, answer
        return answer if answer["head"]["status"] != "running" else None

    return eventually(ended, within_s=within_s)


def predictions(wire: Client, name: str, data: str) -> dict[str, float]:
    """The probability of each class of each example, by their names."""
    code, answer = wire.predict(name, data, input=INPUT, output={"best": 3})
    assert code == 200, answer
    return {
        f"{each['uri']} {found['cat']}": found["prob"]
        for each in answer["body"]["predictions"]
        for found in each["classes"]
    }


def model(path: Path) -> bytes:
    """The newest model of a repository."""
    return max(path.glob("*.model")).read_bytes()


def fill_home(home: Disk) -> None:
    """Leaves a server no room for its state: also not in the log that its file has already."""
    with closing(sqlite3.connect(home.path / FILE)) as state:
        eventually(lambda: state.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    home.fill()


def files(path: Path) -> dict[str, bytes]:
    """All that is in a repository."""
    return {str(found): found.read_bytes() for found in path.rglob("*") if found.is_file()}


def assert_as_unbroken(
    wire: Client, name: str, path: Path, unbroken: tuple[Any, bytes]
) -> dict[str, Any]:
    """The job ends with the report, the history and the model of one that was not touched."""
    answer: dict[str, Any] = report(wire, name)
    expected, model_of_it = unbroken
    assert answer["head"]["status"] == "finished", answer
    for part in ("measure", "measure_hist"):
        assert answer["body"][part] == expected["body"][part]
    assert model(path) == model_of_it
    assert list(path.glob(".job-*")) == []
    return answer
