"""The life of a job."""

from __future__ import annotations

import pytest

from dd_ray.services.jobs import (
    Died,
    Event,
    Failed,
    Job,
    Reached,
    Started,
    Status,
    StopAsked,
    Succeeded,
    advance,
)

NEW = Job(service="s", id=1, key="k", accepted=0.0)
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
        ([Started(), Died(ERROR, 1)], Status.RUNNING, "running"),
        ([Started(), Died(ERROR, 1), Started(), Died(ERROR, 1)], Status.ERROR, "error"),
        ([Started(), Died(ERROR, 0)], Status.ERROR, "error"),
        ([Started(), StopAsked(), Died(ERROR, 9)], Status.TERMINATED, "terminated"),
    ],
)
def test_events_lead_to_states(events: list[Event], status: Status, shown: str) -> None:
    job = after(*events)
    assert (job.status, job.shown_status) == (status, shown)


def after(*events: Event) -> Job:
    job = NEW
    for event in events:
        job = advance(job, event)
    return job


def test_only_deaths_without_progress_count() -> None:
    """A job that gets further each time goes on, however often it dies."""
    job = NEW
    for reached in range(1, 20):
        job = advance(advance(advance(job, Started()), Reached(reached)), Died(ERROR, 1))
    assert (job.status, job.attempt, job.deaths) == (Status.RUNNING, 19, 1)
    for _ in range(2):
        job = advance(advance(job, Reached(19)), Died(ERROR, 1))
    assert (job.status, job.error) == (Status.ERROR, ERROR)


def test_every_attempt_has_its_number() -> None:
    assert after(Started(), Died(ERROR, 5), Started(), Died(ERROR, 5), Started()).attempt == 3
