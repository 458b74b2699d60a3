"""All jobs for people: those that go on, those whose report waits, and those of the past."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dd_ray.services.records import JobView, PastJob, ServiceView


def job_list(
    services: Iterable[ServiceView], past: Iterable[PastJob], *, most: int
) -> list[dict[str, Any]]:
    """The items of GET /jobs, the newest first. Nobody's report is taken by looking."""
    current = [_item(each, ended=None) for view in services for each in view.jobs]
    found = [*current, *(_item(each.view, ended=each.ended) for each in past)]
    return sorted(found, key=lambda item: item["accepted"], reverse=True)[:most]


def _item(view: JobView, *, ended: float | None) -> dict[str, Any]:
    """`report` says whether GET /train has the job; a blocking call's has no number."""
    job = view.job
    item: dict[str, Any] = {
        "service": job.service,
        "job": None if job.blocking else job.id,
        "status": job.shown_status,
        "accepted": job.accepted,
        "ended": ended,
        "time": float(int(view.elapsed_s)),
        "attempts": job.attempt,
        "report": ended is None and not job.blocking,
        "measure": dict(view.measure),
    }
    return item | ({"Error": job.error} if job.error else {})
