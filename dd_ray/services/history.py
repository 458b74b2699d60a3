"""What a running training has reported: last values and the history of each measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIMIT = 100_000
"""Points kept of one measure; past it every other point goes, so that memory stays bounded."""

_NO_HISTORY = frozenset({"test_id", "test_names"})


class History:
    """Last values and series of a job. Grows with the reports, within LIMIT points a measure."""

    def __init__(self) -> None:
        self.measure: dict[str, Any] = {}
        self._series: dict[str, list[float]] = {}
        self._stride: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def add(self, point: Mapping[str, Any]) -> None:
        """One report. Numbers join the series, vectors by class do so under `<name>_<class>`."""
        self.measure.update(point.get("last", {}))
        for name, value in point.get("history", {}).items():
            if name not in _NO_HISTORY and isinstance(value, float):
                self._append(name, value)

    def _append(self, name: str, value: float) -> None:
        series = self._series.setdefault(name, [])
        seen, stride = self._seen.get(name, 0), self._stride.get(name, 1)
        if seen % stride == 0:
            series.append(value)
        self._seen[name] = seen + 1
        if len(series) >= LIMIT:
            del series[1::2]
            self._stride[name] = stride * 2

    def series(self, max_points: int) -> dict[str, list[float]]:
        """`measure_hist`: each series with at most `max_points` points; 0 and less give all."""
        result = {}
        for name, values in self._series.items():
            stride = -(-len(values) // max_points) if 0 < max_points < len(values) else 1
            result[f"{name}_hist"] = values[::stride]
        return result


def subsample(series: Mapping[str, list[float]], max_points: int) -> dict[str, list[float]]:
    """Points 0, s, 2s, ... with the smallest stride s that leaves at most `max_points`."""
    result = {}
    for name, values in series.items():
        stride = -(-len(values) // max_points) if 0 < max_points < len(values) else 1
        result[name] = values[::stride]
    return result
