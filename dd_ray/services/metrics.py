"""What a server measures of itself, as samples, and their text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dd_ray.services.jobs import Status
from dd_ray.services.records import ServiceRecord
from dd_ray.services.request_counts import Requests
from dd_ray.services.stats import BOUNDS_MS, Stats

OTHERS = "_others"
"""Stands for the services past the most that have a label of their own; no service is named so."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `text`."""

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name."""

    name: str
    kind: str
    help: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A number at this moment; `suffix` tells the parts of a histogram from one another."""

    family: Family
    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""


_READY = Family("dd_ray_services", GAUGE, "Services, by whether they can predict")
_REQUESTS = Family("dd_ray_requests_total", COUNTER, "Requests that the API answered, by route")
_SECONDS = Family("dd_ray_requests_seconds_total", COUNTER, "Time of these requests")
_JOBS = Family("dd_ray_jobs", GAUGE, "Jobs that are known, also those of the history, by status")
_ITERATION = Family("dd_ray_training_iteration", GAUGE, "Where a running training is")
_RATE = Family("dd_ray_training_iterations_per_second", GAUGE, "How fast a running training is")
_ERRORS = Family("dd_ray_predict_errors_total", COUNTER, "Predict calls that failed, by code")
_DURATION = Family("dd_ray_predict_duration_seconds", HISTOGRAM, "Time of predict calls")

_TOTALS = [
    (Family("dd_ray_predict_total", COUNTER, "Predict calls"), "predict_count", 1.0),
    (Family("dd_ray_predict_rows_total", COUNTER, "Rows predicted"), "inference_count", 1.0),
    (
        Family("dd_ray_predict_read_seconds_total", COUNTER, "Time for reading the data of calls"),
        "total_transform_duration_ms",
        1e-3,
    ),
    (
        Family("dd_ray_predict_queue_seconds_total", COUNTER, "Time that calls waited for a batch"),
        "total_queue_duration_ms",
        1e-3,
    ),
    (
        Family("dd_ray_predict_model_seconds_total", COUNTER, "Time that the model took"),
        "total_model_duration_ms",
        1e-3,
    ),
    (Family("dd_ray_predict_batches_total", COUNTER, "Batches"), "batch_count", 1.0),
    (Family("dd_ray_predict_batch_rows_total", COUNTER, "Rows of batches"), "batch_rows", 1.0),
]


def samples(
    services: Sequence[ServiceRecord],
    *,
    ready: int,
    jobs: Mapping[str, int],
    requests: Iterable[Requests],
    most: int,
) -> list[Sample]:
    """All there is to know. The first `most` services have labels, the others share one."""
    found = [
        Sample(_READY, (("ready", "yes"),), ready),
        Sample(_READY, (("ready", "no"),), len(services) - ready),
        *(Sample(_JOBS, (("status", each),), jobs.get(each, 0)) for each in Status),
    ]
    for each in requests:
        labels = (("method", each.method), ("route", each.route), ("code", str(each.code)))
        found += [Sample(_REQUESTS, labels, each.count), Sample(_SECONDS, labels, each.seconds)]
    others = Stats()
    for number, record in enumerate(services):
        if number >= most:
            others.add(record.stats)
            continue
        name = record.definition.name
        found += [*_of_stats(name, record.stats), *_of_jobs(name, record)]
    if len(services) > most:
        found += _of_stats(OTHERS, others)
    return sorted(found, key=lambda sample: sample.family.name)


def text(found: Iterable[Sample]) -> str:
    """The text format of Prometheus, 0.0.4.

    >>> print(text([Sample(Family("up", GAUGE, "Whether it is"), (("at", 'a"b'),), 1.0)]), end="")
    # HELP up Whether it is
    # TYPE up gauge
    up{at="a\\"b"} 1
    """
    lines = []
    for family, members in groupby(found, key=lambda sample: sample.family):
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [
            f"{family.name}{each.suffix}{_labels(each.labels)} {each.value:.15g}"
            for each in members
        ]
    return "".join(f"{line}\n" for line in lines)


def _of_stats(name: str, stats: Stats) -> list[Sample]:
    labels = (("service", name),)
    found = [
        Sample(family, labels, getattr(stats, field) * unit) for family, field, unit in _TOTALS
    ]
    found += [
        Sample(_ERRORS, (*labels, ("code", str(code))), count)
        for code, count in sorted(stats.errors.items())
    ]
    below = 0
    for bound, count in zip((*(b / 1000 for b in BOUNDS_MS), "+Inf"), stats.durations, strict=True):
        below += count
        found.append(Sample(_DURATION, (*labels, ("le", f"{bound}")), below, "_bucket"))
    seconds = stats.total_predict_duration_ms / 1000
    found.append(Sample(_DURATION, labels, seconds, "_sum"))
    found.append(Sample(_DURATION, labels, below, "_count"))
    return found


def _of_jobs(name: str, record: ServiceRecord) -> list[Sample]:
    """Of the one job of a service that runs."""
    for each in record.jobs.values():
        if each.job.status is Status.RUNNING:
            return [*_progress(name, each.history.measure)]
    return []


def _progress(name: str, measure: Mapping[str, Any]) -> Iterable[Sample]:
    labels = (("service", name),)
    if "iteration" in measure:
        yield Sample(_ITERATION, labels, measure["iteration"])
    each_ms = measure.get("iter_time", 0.0)
    if each_ms > 0:
        yield Sample(_RATE, labels, 1000 / each_ms)


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
