"""The life of a job and its history."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dd_ray.services import history as history_module
from dd_ray.services.history import History, subsample
from dd_ray.services.jobs import Failed, Job, Started, Status, StopAsked, Succeeded, advance

NEW = Job(service="s", id=1, accepted=0.0)
BODY = {"measure": {}}
ERROR = {"code": 400}


@pytest.mark.parametrize(
    ("events", "status", "shown"),
    [
        ([], Status.QUEUED, "running"),
        ([Started()], Status.RUNNING, "running"),
        ([Started(), Succeeded(BODY)], Status.FINISHED, "finished"),
        ([Started(), Failed(ERROR)], Status.ERROR, "error"),
        ([StopAsked()], Status.TERMINATED, "terminated"),
        ([StopAsked(), Started(), Succeeded(BODY)], Status.TERMINATED, "terminated"),
        ([Started(), StopAsked()], Status.RUNNING, "running"),
        ([Started(), StopAsked(), Succeeded(BODY)], Status.TERMINATED, "terminated"),
        ([Started(), StopAsked(), Failed(ERROR)], Status.TERMINATED, "terminated"),
        ([Started(), Succeeded(BODY), Failed(ERROR), StopAsked()], Status.FINISHED, "finished"),
    ],
)
def test_events_lead_to_states(events: list[object], status: Status, shown: str) -> None:
    job = NEW
    for event in events:
        job = advance(job, event)  # type: ignore[arg-type]
    assert (job.status, job.shown_status) == (status, shown)


def test_a_report_keeps_the_last_values_and_the_series() -> None:
    history = History()
    for i in range(3):
        history.add({"last": {"acc": float(i), "labels": ["a"]}, "history": {"acc": float(i)}})
    assert history.measure == {"acc": 2.0, "labels": ["a"]}
    assert history.series(0) == {"acc_hist": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("most", "kept"), [(0, 10), (-1, 10), (10, 10), (9, 5), (5, 5), (4, 4), (3, 3), (1, 1)]
)
def test_subsampling_keeps_at_most_what_was_asked(most: int, kept: int) -> None:
    found = subsample({"a": [float(i) for i in range(10)]}, most)["a"]
    assert len(found) == kept
    assert found[0] == 0.0
    assert len({b - a for a, b in pairwise(found)}) <= 1


def test_a_long_history_stays_bounded_and_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "LIMIT", 8)
    history = History()
    for i in range(100):
        history.add({"history": {"a": float(i)}})
    series = history.series(0)["a_hist"]
    assert 4 <= len(series) <= 8
    assert len({b - a for a, b in pairwise(series)}) == 1
