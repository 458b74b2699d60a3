"""Progress: how far a training is, how often it is said, and bars."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from typing import Any

from rich.console import Console

from dd_ray.cli.progress import Bars, Lines, json_line, step_of, text_line

MEASURE = {
    "iteration": 24.0,
    "train_loss": 0.25,
    "acc": 0.9,
    "cmdiag": [0.9, 0.8],
    "iteration_duration_ms": 500.0,
    "remain_time": 37.5,
    "remain_time_str": "0d:0h:0m:37s",
}


def item(**measure: Any) -> dict[str, Any]:
    return {"job": 1, "status": "running", "measure": measure, "time": 3.0}


def test_a_step_counts_what_is_done_and_what_is_left() -> None:
    step = step_of(MEASURE)
    assert step is not None
    assert (step.iteration, step.total, step.left) == (25, 100, "0:00:38")
    assert step.values == {"train_loss": 0.25, "acc": 0.9}


def test_a_step_of_a_server_that_tells_less_has_no_total() -> None:
    assert step_of({}) is None
    assert step_of({"iteration": "many"}) is None
    step = step_of({"iteration": 4})
    assert step is not None
    assert (step.iteration, step.total, step.left) == (5, None, "")


def test_a_line_says_all_of_a_job() -> None:
    line = text_line("wine", item(**MEASURE))
    assert line == "wine job 1: iteration 25/100, train_loss 0.25, acc 0.9, 0:00:38 left"
    assert text_line("wine", item()) == "wine job 1: running"
    waiting = item() | {"waiting": "needs 1 GPU, 0 of 1 are free"}
    assert text_line("wine", waiting) == "wine job 1: waiting: needs 1 GPU, 0 of 1 are free"


def test_a_name_from_a_server_cannot_move_the_cursor() -> None:
    assert "\x1b" not in text_line("wi\x1b[2Jne", item(**{"iteration": 1.0, "a\x1bb": 1.0}))


def test_lines_become_rarer() -> None:
    """Asked ten times a second for 100 seconds."""
    now = 0.0
    said: list[float] = []
    lines = Lines(text_line, write=lambda _: said.append(now), clock=lambda: now)
    for i in range(1000):
        now = i / 10
        lines.show("wine", item(iteration=float(i)))
    gaps = [b - a for a, b in pairwise(said)]
    assert said[0] == 0.0
    assert 1.0 <= gaps[0] < 1.2
    assert 5.0 < gaps[-1] < 6.0
    assert 25 < len(said) < 45


def test_a_line_is_not_said_twice_and_jobs_do_not_wait_for_each_other() -> None:
    now, said = 0.0, list[str]()
    lines = Lines(text_line, write=said.append, clock=lambda: now)
    for service in ("a", "b", "a"):
        lines.show(service, item(iteration=0.0))
    now = 1000.0
    lines.show("a", item(iteration=0.0))
    assert said == ["a job 1: iteration 1", "b job 1: iteration 1"]
    lines.show("a", item(iteration=1.0))
    assert said[2:] == ["a job 1: iteration 2"]


def test_json_lines_are_the_items_of_the_api() -> None:
    assert json.loads(json_line("café", item(acc=0.5))) == {"service": "café", **item(acc=0.5)}
    assert "café" in json_line("café", item())


def test_a_terminal_has_a_bar_for_each_job() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        bars.show("wine", item())
        bars.show("beer", item(**MEASURE))
        bars.show("wine", item(**MEASURE | {"iteration": 49.0, "remain_time": 25.0}))
    last = out.getvalue().rpartition("wine job 1")[2]
    assert "50/100" in last
    assert "beer job 1" in last
    assert "25/100" in last
    assert "acc 0.9" in last
