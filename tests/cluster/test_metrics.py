"""What is told to Ray's metrics."""

from __future__ import annotations

from typing import Any

import pytest

from dd_ray.cluster import metrics as module
from dd_ray.cluster.metrics import RayMetrics
from dd_ray.services.metrics import COUNTER, GAUGE, HISTOGRAM, Family, Sample

CALLS, UP = Family("calls_total", COUNTER, "Calls"), Family("up", GAUGE, "Up")
TIME = Family("time", HISTOGRAM, "Time")


class FakeMetric:
    """Notes what it is told, as a metric of Ray."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.name, self.tag_keys = name, tag_keys
        self.told: list[tuple[float, dict[str, str]]] = []

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.told.append((value, tags))

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.told.append((value, tags))


def sample(family: Family, value: float, service: str = "s", suffix: str = "") -> Sample:
    return Sample(family, (("service", service),), value, suffix)


def told(metrics: RayMetrics) -> dict[str, Any]:
    return {name: [value for value, _ in each.told] for name, each in metrics._metrics.items()}


def fakes(**given: Any) -> RayMetrics:
    return RayMetrics(counter=FakeMetric, gauge=FakeMetric, **given)


def test_counters_are_told_what_came_since() -> None:
    metrics = fakes()
    for value in (0.0, 2.0, 2.0, 5.0, 1.0):
        metrics.export([sample(CALLS, value)])
    assert told(metrics) == {"calls_total": [2.0, 3.0, 1.0]}  # at the end a service made anew
    assert metrics._metrics["calls_total"].told[0][1] == {"service": "s"}


def test_gauges_are_told_again_and_histograms_in_parts() -> None:
    metrics = fakes()
    for _ in range(2):
        metrics.export([sample(UP, 1.0), sample(TIME, 3.0, suffix="_count")])
    assert told(metrics) == {"up": [1.0, 1.0], "time_count": [3.0]}


def test_series_have_a_bound() -> None:
    metrics = fakes(most_series=2)
    metrics.export([sample(CALLS, 1.0, service) for service in "abc"])
    metrics.export([sample(CALLS, 2.0, service) for service in "abc"])
    assert told(metrics) == {"calls_total": [1.0] * 4}
    assert module._MOST_SERIES > 1000


@pytest.mark.ray
def test_ray_takes_them(server_and_url: object) -> None:
    metrics = RayMetrics()
    metrics.export([sample(CALLS, 1.0), sample(UP, 1.0)])
    assert set(metrics._metrics) == {"calls_total", "up"}
