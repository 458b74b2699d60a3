"""What dd-ray measures, among the metrics of Ray, which each node's agent exports to Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ray.util.metrics import Counter, Gauge

from dd_ray.services.metrics import GAUGE, Sample

_MOST_SERIES = 20_000
"""Ray keeps each series for ever: past so many, those of new services are left out."""


class RayMetrics:
    """Takes samples now and then and tells Ray what has changed: each of its calls costs 10 us."""

    def __init__(
        self,
        *,
        counter: Callable[..., Any] = Counter,
        gauge: Callable[..., Any] = Gauge,
        most_series: int = _MOST_SERIES,
    ) -> None:
        self._counter = counter
        self._gauge = gauge
        self._most_series = most_series
        self._metrics: dict[str, Any] = {}
        self._before: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def export(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            name = f"{sample.family.name}{sample.suffix}"
            series = name, sample.labels
            before = self._before.get(series)
            if before is None and len(self._before) >= self._most_series:
                continue
            if before == sample.value and sample.family.kind != GAUGE:
                continue
            self._before[series] = sample.value
            metric = self._metric(name, sample)
            if sample.family.kind == GAUGE:
                metric.set(sample.value, dict(sample.labels))
                continue
            more = sample.value - (before or 0.0)
            if more < 0:  # the service was made anew
                more = sample.value
            if more > 0:
                metric.inc(more, dict(sample.labels))

    def _metric(self, name: str, sample: Sample) -> Any:
        found = self._metrics.get(name)
        if found is None:
            kind = self._gauge if sample.family.kind == GAUGE else self._counter
            names = tuple(label for label, _ in sample.labels)
            found = self._metrics[name] = kind(name, sample.family.help, tag_keys=names)
        return found
