"""Progress of jobs: bars on a terminal, lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, Self

import rich.progress
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn

from dd_ray.cli.show import cell, console, plain

_NOT_VALUES = frozenset(
    {
        "iteration",
        "iter_time",
        "iteration_duration_ms",
        "elapsed_time_ms",
        "batch_duration_ms",
        "remain_time",
        "test_id",
    }
)
_SHOWN_VALUES = 6

Item = Mapping[str, Any]
"""A job as `GET /services/{name}` lists it: `job`, `status`, and `measure` while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a training is."""

    iteration: int
    """Iterations that are done."""
    total: int | None
    values: Mapping[str, float]
    left: str
    """Time to the end, as `h:mm:ss`."""


def step_of(measure: Mapping[str, Any]) -> Step | None:
    """What a running job's `measure` says; None before the first iteration.

    The total is not in it, but what is left is the time of one iteration times their number.

    >>> step_of({"iteration": 9.0, "iteration_duration_ms": 20.0, "remain_time": 1.8}).total
    100
    """
    iteration = measure.get("iteration")
    if not isinstance(iteration, int | float):
        return None
    done = int(iteration) + 1
    each_ms, remain_s = measure.get("iteration_duration_ms"), measure.get("remain_time")
    total = done + round(remain_s * 1000 / each_ms) if each_ms and remain_s is not None else None
    values = {
        name: float(value)
        for name, value in measure.items()
        if isinstance(value, int | float) and name not in _NOT_VALUES
    }
    return Step(
        iteration=done,
        total=total,
        values=dict(list(values.items())[:_SHOWN_VALUES]),
        left="" if remain_s is None else str(timedelta(seconds=round(remain_s))),
    )


class Progress(Protocol):
    """Shows jobs as they advance, between entering it and leaving it."""

    def show(self, service: str, item: Item) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def progress(*, as_json: bool) -> Progress:
    """What suits the standard output: bars on a terminal, lines in a pipe or a log, or JSON."""
    if as_json:
        return Lines(json_line)
    out = console()
    return Bars(out) if out.is_terminal else Lines(text_line)


class Lines:
    """A line a second at first; each later one waits a twentieth of the time that has passed.

    So a training of a minute has 30 lines and one of a day 200.
    """

    def __init__(
        self,
        line_of: Callable[[str, Item], str],
        *,
        write: Callable[[str], None] = typer.echo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line_of = line_of
        self._write = write
        self._clock = clock
        self._began = clock()
        self._last: dict[tuple[str, int], tuple[str, float]] = {}

    def show(self, service: str, item: Item) -> None:
        key, now = (service, item["job"]), self._clock()
        last, due = self._last.get(key, ("", now))
        line = self._line_of(service, item)
        if now >= due and line != last:
            self._write(line)
            self._last[key] = (line, now + 1 + (now - self._began) / 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def json_line(service: str, item: Item) -> str:
    """The item as the API has it, and its service."""
    return json.dumps({"service": service, **item}, ensure_ascii=False)


def status_of(item: Item) -> str:
    """The status of a job, and what it waits for when it has no place yet."""
    waiting = item.get("waiting")
    return f"waiting: {plain(waiting)}" if waiting else str(item["status"])


def text_line(service: str, item: Item) -> str:
    """One job in one line.

    >>> measure = {"iteration": 4.0, "acc": 0.9}
    >>> text_line("wine", {"job": 1, "status": "running", "measure": measure})
    'wine job 1: iteration 5, acc 0.9'
    """
    step = step_of(item.get("measure", {}))
    if step is None:
        return f"{plain(service)} job {item['job']}: {status_of(item)}"
    of = f"/{step.total}" if step.total else ""
    parts = [f"iteration {step.iteration}{of}", *_values(step), step.left and f"{step.left} left"]
    return f"{plain(service)} job {item['job']}: " + ", ".join(part for part in parts if part)


class Bars:
    """A bar for each job, redrawn in place and gone at the end."""

    def __init__(self, out: Console) -> None:
        self._bars = rich.progress.Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}", markup=False),
            console=out,
            transient=True,  # what follows says how the jobs ended
        )
        self._tasks: dict[tuple[str, int], TaskID] = {}

    def show(self, service: str, item: Item) -> None:
        key = (service, item["job"])
        if key not in self._tasks:
            name = f"{plain(service)} job {item['job']}"
            self._tasks[key] = self._bars.add_task(name, total=None, values=status_of(item))
        step = step_of(item.get("measure", {}))
        if step is not None:
            values = "  ".join([*_values(step), step.left])
            self._bars.update(
                self._tasks[key], completed=step.iteration, total=step.total, values=values
            )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()


def _values(step: Step) -> list[str]:
    return [f"{plain(name)} {cell(value)}" for name, value in step.values.items()]
