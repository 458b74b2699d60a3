"""One training from its call to its report, in several attempts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dd_ray.attempts import close_job, open_job
from dd_ray.errors import BadInput, Superseded
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.history import History
from dd_ray.services.ports import Point, Work
from dd_ray.services.training import train

ITERATIONS = 8


class Died(Exception):
    """What kills a training in these tests."""


def work(path: Path, data: str, **parameters: Any) -> Work:
    path.mkdir(exist_ok=True)
    mllib = {
        "iterations": ITERATIONS,
        "save_period": 3,
        "booster_params": {"subsample": 0.7, "colsample": 0.5},
    }
    given = {
        "input": {"label": "target", "id": "id", "shuffle": True, "seed": 5, "test_split": 0.2},
        "mllib": mllib,
        "output": {"measure": ["acc", "mcll"]},
    }
    definition = ServiceDefinition(
        name="s",
        mllib="xgboost",
        connector="csv",
        type="supervised",
        description="",
        repository=str(path),
        parameters={"input": {"connector": "csv"}, "mllib": {"nclasses": 3}},
    )
    call = {"service": "s", "parameters": given | parameters, "data": [data]}
    return Work(definition=definition, job=1, key="k", attempt=1, call=call, checkpoint_s=0.0)


def attempted(
    given: Work, number: int, history: History, *, dies: Callable[[Point], bool] = lambda _: False
) -> dict[str, Any]:
    """The body of the report of an attempt, unless it dies of what it reports."""
    open_job(given.definition.repository, given.key)

    def report(point: Point) -> None:
        history.add(point)
        if dies(point):
            raise Died

    return train(replace(given, attempt=number), report=report, stopped=lambda: False)


def at(iteration: int) -> Callable[[Point], bool]:
    return lambda point: point.get("iteration") == iteration and "acc" in point["history"]


def files(path: Path) -> dict[str, bytes]:
    return {
        found.name: found.read_bytes()
        for found in path.iterdir()
        if found.is_file() and found.name != ".dd-ray"
    }


def test_attempts_are_one_training(tmp_path: Path, iris_csv: str) -> None:
    """Report, files and history are those of one that did not die."""
    whole, parts = (work(tmp_path / name, iris_csv) for name in ("whole", "parts"))
    history, unbroken = History(), History()
    body = attempted(whole, 1, unbroken)
    for number, iteration in enumerate((1, 1, 5, 6), start=1):
        with pytest.raises(Died):
            attempted(parts, number, history, dies=at(iteration))
    again = attempted(parts, 5, history)
    assert again["measure"] == body["measure"]
    assert again["parameters"] == body["parameters"]
    for given in (whole, parts):
        close_job(given.definition.repository, "k")
    assert files(tmp_path / "whole") == files(tmp_path / "parts")
    assert history.series(0) == unbroken.series(0)
    assert len(history.series(0)["acc_hist"]) == ITERATIONS - 1


def test_a_training_that_died_after_its_result_is_not_repeated(
    tmp_path: Path, iris_csv: str
) -> None:
    given, history = work(tmp_path / "r", iris_csv), History()
    body = attempted(given, 1, history)
    before = files(tmp_path / "r")
    reports: list[Point] = []
    open_job(given.definition.repository, "k")
    again = train(replace(given, attempt=2), report=reports.append, stopped=lambda: False)
    assert json.dumps(again) == json.dumps(body)
    assert reports == []
    assert files(tmp_path / "r") == before


def test_what_was_learned_appears_with_the_first_model(tmp_path: Path, iris_csv: str) -> None:
    """Also when the attempt that saves it is not the one that learned it first."""
    given, history = work(tmp_path / "r", iris_csv), History()
    with pytest.raises(Died):
        attempted(given, 1, history, dies=at(1))
    assert files(tmp_path / "r") == {}
    attempted(given, 2, history)
    assert {"connector.json", "model.fmap", "corresp.txt"} <= files(tmp_path / "r").keys()


def test_reports_are_kept_before_a_checkpoint_is_made(tmp_path: Path, iris_csv: str) -> None:
    given = work(tmp_path / "r", iris_csv)
    open_job(given.definition.repository, "k")
    marker = tmp_path / "r" / ".job-k" / "checkpoint.json"
    reports: list[Point] = []
    flushed: list[tuple[int, int]] = []

    def flush() -> None:
        kept = json.loads(marker.read_text())["done"] if marker.exists() else 0
        flushed.append((kept, reports[-1].get("checkpoint", kept)))

    train(given, report=reports.append, stopped=lambda: False, flush=flush)
    *checkpoints, last = flushed
    first = {done: kept for kept, done in reversed(checkpoints)}  # two may be of one iteration
    assert len(first) >= 2
    assert all(kept < done for done, kept in first.items())
    assert last == (ITERATIONS, ITERATIONS)


def test_an_attempt_that_is_over_stops_writing(tmp_path: Path, iris_csv: str) -> None:
    """The new attempt begins while the old one is between two iterations."""
    given, history, late = work(tmp_path / "r", iris_csv), History(), History()
    bodies: list[dict[str, Any]] = []

    def takeover(point: Point) -> bool:
        if at(4)(point) and not bodies:
            bodies.append(attempted(given, 2, history))
            late.add({"begin": None})
        return False

    with pytest.raises(Superseded):
        attempted(given, 1, late, dies=takeover)
    assert len(bodies) == 1
    whole = work(tmp_path / "whole", iris_csv)
    attempted(whole, 1, History())
    for each in (given, whole):
        close_job(each.definition.repository, "k")
    assert files(tmp_path / "r") == files(tmp_path / "whole")


def test_a_mistake_in_the_call_is_the_same_in_every_attempt(tmp_path: Path, iris_csv: str) -> None:
    given = work(tmp_path / "r", iris_csv, input={"label": "nope"})
    for number in (1, 2):
        with pytest.raises(BadInput, match="nope"):
            attempted(given, number, History())
