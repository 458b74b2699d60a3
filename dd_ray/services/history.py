"""What a running training has reported: last values and the history of each measure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LIMIT = 100_000
"""Points kept of one measure; past it every other point goes, so that memory stays bounded."""

_NO_HISTORY = frozenset({"test_id", "test_names"})

_EARLIER = -1
"""The iteration of what an earlier training reported: no checkpoint of this one is before it."""


@dataclass(slots=True)
class _Series:
    """Every `stride`-th of the `seen` values of a measure, with the iterations they belong to."""

    values: array[float] = field(default_factory=lambda: array("d"))
    iterations: array[int] = field(default_factory=lambda: array("q"))
    stride: int = 1
    seen: int = 0
    last: int = _EARLIER
    gap: int = 0
    """Iterations from one value to the next; measures are reported evenly."""

    def append(self, value: float, iteration: int) -> None:
        if _EARLIER < self.last < iteration:
            self.gap = iteration - self.last
        self.last = iteration
        if self.seen % self.stride == 0:
            self.values.append(value)
            self.iterations.append(iteration)
        self.seen += 1
        if len(self.values) >= LIMIT:
            self.values, self.iterations = self.values[::2], self.iterations[::2]
            self.stride *= 2

    def cut(self, done: int) -> None:
        """Forgets what came after `done` iterations."""
        kept = bisect_left(self.iterations, done)
        if kept == 0 or self.last < done:
            self.seen = self.seen if kept else 0
        else:  # of the values after the last kept one some may be from before
            after = (done - 1 - self.iterations[kept - 1]) // self.gap if self.gap else 0
            self.seen = (kept - 1) * self.stride + 1 + min(after, self.stride - 1)
        del self.values[kept:], self.iterations[kept:]
        self.last = _EARLIER


class History:
    """Last values and series of a job. Grows with the reports, within LIMIT points a measure."""

    def __init__(self) -> None:
        self.measure: dict[str, Any] = {}
        self._series: dict[str, _Series] = {}

    def add(self, point: Mapping[str, Any]) -> None:
        """One report.

        `earlier` is the history of the training that this one resumes. `begin` comes first of
        each attempt: the iterations it does not do again, None when it does all.
        """
        if "begin" in point:
            self._cut(point["begin"])
        for name, values in point.get("earlier", {}).items():
            for value in values:
                self._append(name, value, _EARLIER)
        self.measure.update(point.get("last", {}))
        for name, value in point.get("history", {}).items():
            if name not in _NO_HISTORY and isinstance(value, float):
                self._append(name, value, point.get("iteration", _EARLIER))

    def _append(self, name: str, value: float, iteration: int) -> None:
        self._series.setdefault(name, _Series()).append(value, iteration)

    def _cut(self, done: int | None) -> None:
        if done is None:
            self.measure, self._series = {}, {}
            return
        for series in self._series.values():
            series.cut(done)

    def series(self, max_points: int) -> dict[str, list[float]]:
        """`measure_hist`: each series with at most `max_points` points; 0 and less give all."""
        whole = {f"{name}_hist": each.values.tolist() for name, each in self._series.items()}
        return subsample(whole, max_points)

    def dump(self, *, most: int = LIMIT) -> dict[str, Any]:
        """All of it as JSON, with at most so many points of a measure."""
        series = {}
        for name, each in self._series.items():
            step = max(-(-len(each.values) // most), 1)
            values, iterations = each.values[::step], each.iterations[::step]
            counts = [each.stride * step, each.seen, each.last, each.gap]
            series[name] = [values.tolist(), iterations.tolist(), *counts]
        return {"measure": self.measure, "series": series}

    def __len__(self) -> int:
        """How many values are kept."""
        return sum(len(each.values) for each in self._series.values())

    @classmethod
    def of(cls, dump: Mapping[str, Any]) -> History:
        """The history that was dumped."""
        history = cls()
        history.measure = dict(dump["measure"])
        for name, (values, iterations, *counts) in dump["series"].items():
            history._series[name] = _Series(array("d", values), array("q", iterations), *counts)
        return history


def subsample(series: Mapping[str, list[float]], max_points: int) -> dict[str, list[float]]:
    """Points 0, s, 2s, ... with the smallest stride s that leaves at most `max_points`."""
    result = {}
    for name, values in series.items():
        stride = -(-len(values) // max_points) if 0 < max_points < len(values) else 1
        result[name] = values[::stride]
    return result
