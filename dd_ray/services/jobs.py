"""The life of a training job, as a pure state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a job is. The API shows `queued` as `running`."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    ERROR = "error"
    TERMINATED = "terminated"


ENDED = frozenset({Status.FINISHED, Status.ERROR, Status.TERMINATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training job of a service. Times are seconds of one clock."""

    service: str
    id: int
    key: str
    """Names the job for ever: numbers begin at 1 again with a new service of the same name."""
    accepted: float
    blocking: bool = False
    """A blocking call holds the job: it has no id that a client knows."""
    status: Status = Status.QUEUED
    stopping: bool = False
    attempt: int = 0
    """How often it was started."""
    reached: int = 0
    """Iterations of the last checkpoint."""
    deaths: int = 0
    """How many attempts in a row died before they got further than the ones before."""
    body: Mapping[str, Any] | None = None
    """The final report once it has finished."""
    error: Mapping[str, Any] | None = None
    """The `status` object of what went wrong."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def shown_status(self) -> str:
        return Status.RUNNING.value if self.status is Status.QUEUED else self.status.value


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt is made."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The training makes a checkpoint after so many iterations."""

    done: int


@dataclass(frozen=True, slots=True)
class Died:
    """The process of the attempt ended without a result; `error` is what a client would see.

    Another attempt is made unless more than `retries` in a row died without getting further.
    """

    error: Mapping[str, Any]
    retries: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A client deleted the job."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The training ended by itself, with its final report."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The training ended with an error."""

    error: Mapping[str, Any]


Event = Started | Reached | Died | StopAsked | Succeeded | Failed


def advance(job: Job, event: Event) -> Job:
    """The job after an event. An ended job stays as it is: the first end counts."""
    if job.ended:
        return job
    match event:
        case Started():
            return replace(job, status=Status.RUNNING, attempt=job.attempt + 1)
        case Reached(done):
            if done <= job.reached:
                return job
            return replace(job, reached=done, deaths=0)
        case Died(error, retries):
            job = replace(job, deaths=job.deaths + 1)
            if job.stopping or job.deaths > retries:
                return advance(job, Failed(error))
            return job
        case StopAsked():
            if job.status is Status.QUEUED:
                return replace(job, status=Status.TERMINATED, stopping=True)
            return replace(job, stopping=True)
        case Succeeded(body):
            status = Status.TERMINATED if job.stopping else Status.FINISHED
            return replace(job, status=status, body=body)
        case Failed(error):
            # what fails while it is being stopped was asked to end: nobody waits for the reason
            status = Status.TERMINATED if job.stopping else Status.ERROR
            return replace(job, status=status, error=error)
