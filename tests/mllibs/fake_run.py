"""A Run that keeps what a training reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dd_ray.attempts import Attempt
from dd_ray.measures.evaluate import evaluate
from dd_ray.mllibs.spec import Checkpoint
from dd_ray.mllibs.team import Team
from dd_ray.repository import Repository
from dd_ray.services.checkpoints import Checkpoints


class Died(Exception):
    """What kills a training in a test."""


class FakeRun:
    """Keeps reports and tests; stops the training, or dies, after some iterations.

    As an `attempt` it makes checkpoints, one of its own every `every` iterations, and goes on
    from that of the attempt before.
    """

    def __init__(
        self,
        *measures: str,
        stop_after: int | None = None,
        die_after: int | None = None,
        attempt: Attempt | None = None,
        every: int = 1,
        team: Team | None = None,
    ) -> None:
        self.team = team or Team()
        self.iterations: list[int] = []
        self.reports: list[dict[str, float]] = []
        self.tests: list[int] = []
        self.test_sets: list[int] = []
        self.outputs: list[Any] = []
        self.values: list[dict[str, float]] = []
        self.start = 0
        self.checkpoints: list[int] = []
        self._measures = measures
        self._stop_after = stop_after
        self._die_after = die_after
        self._kept = Checkpoints(attempt, every_s=0, clock=lambda: 0.0) if attempt else None
        self._every = every

    @property
    def stopped(self) -> bool:
        return self._stop_after is not None and len(self.iterations) >= self._stop_after

    @property
    def interrupted(self) -> Checkpoint | None:
        return self._kept.found if self._kept else None

    @property
    def checkpoint_due(self) -> bool:
        return self._kept is not None and len(self.iterations) % self._every == 0

    def checkpoint(
        self,
        done: int,
        *,
        notes: Mapping[str, Any],
        save: Callable[[Repository], object] | None = None,
    ) -> None:
        self.checkpoints.append(done)
        if self._kept is not None:
            self._kept.make(done, notes=notes, save=save)

    def begin(self, iterations: int, *, start: int = 0) -> None:
        self.total = iterations
        self.start = start

    def report(self, iteration: int, **values: float) -> None:
        if len(self.iterations) == self._die_after:
            raise Died
        self.iterations.append(iteration)
        self.reports.append(values)

    def test(
        self,
        iteration: int,
        output: Any,
        targets_NT: Any,
        *,
        test_set: int = 0,
        values: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        values = dict(values or {})
        self.tests.append(iteration)
        self.test_sets.append(test_set)
        self.outputs.append(output)
        self.values.append(values)
        measure = evaluate(self._measures, output, targets_NT)
        return measure | {"iteration": float(iteration)} | values

    @property
    def losses(self) -> list[float]:
        return [report["train_loss"] for report in self.reports]
