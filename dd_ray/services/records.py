"""Services and jobs as the state holds them, and as a question finds them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.handout import Handout
from dd_ray.services.history import History
from dd_ray.services.jobs import Job
from dd_ray.services.ports import Replica
from dd_ray.services.stats import Stats

NO_REPLICA = "no replica is up"
"""The problem of a service whose replicas are lost and not replaced yet."""


@dataclass(slots=True)
class JobRecord:
    """A job that goes on or that can be asked for."""

    job: Job
    call: Mapping[str, Any]
    history: History = field(default_factory=History)
    """Of a job that has ended it is in the store only."""
    handout: Handout = field(default_factory=Handout)
    handed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and made anew, when the report was taken or given back."""
    begun: bool = False
    """Whether the process of the attempt has begun."""
    batches: int = 0
    """How many batches of reports of this attempt were kept."""
    unsaved: int = 0
    """Values in the store beside those of the last whole history."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ServiceRecord:
    """A service, from the call that makes it to the one that ends it."""

    definition: ServiceDefinition
    ready: bool = False
    """Whether its creation was answered and its deletion was not asked for."""
    problem: str = ""
    """Why it cannot answer predict calls although it is there; empty when it can."""
    version: int = 1
    next_job: int = 1
    next_blocking: int = -1
    jobs: dict[int, JobRecord] = field(default_factory=dict)
    training: asyncio.Lock = field(default_factory=asyncio.Lock)
    stats: Stats = field(default_factory=Stats)
    deploying: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as one question found it."""

    job: Job
    elapsed_s: float
    measure: Mapping[str, Any]
    history: Mapping[str, list[float]]
    waits: str = ""
    """What a job that has not begun waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A service as one question found it."""

    definition: ServiceDefinition
    stats: Stats
    jobs: Sequence[JobView]
    replicas: Sequence[Replica] = ()
    problem: str = ""
    """Why it cannot answer predict calls; empty when it can."""

    @property
    def training(self) -> bool:
        return any(not view.job.ended for view in self.jobs)

    @property
    def ready(self) -> bool:
        """Whether predict calls are answered with predictions."""
        return not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """How many services there are, and how they stand."""

    count: int
    ready: int
    starting: int
    """Those of an earlier server that have not been tried yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastJob:
    """A job that no client can ask for any more."""

    view: JobView
    ended: float
    """When; `view.elapsed_s` is how long it took."""


def service_view(record: ServiceRecord, now: float, replicas: Sequence[Replica]) -> ServiceView:
    return ServiceView(
        definition=record.definition,
        stats=record.stats,
        jobs=[job_view(each, now) for each in record.jobs.values()],
        replicas=replicas,
        problem=problem_of(record, replicas),
    )


def problem_of(record: ServiceRecord, replicas: Sequence[Replica]) -> str:
    """Why a service cannot answer predict calls; empty when at least one replica can."""
    if record.problem:
        return record.problem
    if not replicas:
        return NO_REPLICA
    if any(not replica.problem for replica in replicas):
        return ""
    return replicas[0].problem


def job_view(
    each: JobRecord, now: float, history: History | None = None, *, waits: str = ""
) -> JobView:
    """With the `history` only when it is given: it can be long."""
    return JobView(
        job=each.job,
        elapsed_s=max(now - each.job.accepted, 0.0),
        measure=dict((history or each.history).measure),
        history=history.series(0) if history else {},
        waits=waits,
    )
