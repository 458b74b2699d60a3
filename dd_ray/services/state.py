"""The one owner of services and jobs: who exists, what trains, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dd_ray.errors import (
    ApiError,
    BadRequest,
    InternalError,
    JobNotFound,
    LibraryError,
    ServiceExists,
    ServiceNotFound,
)
from dd_ray.repository import Repository
from dd_ray.services.answer import error_status
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.history import History
from dd_ray.services.jobs import Failed, Job, Started, StopAsked, Succeeded, advance
from dd_ray.services.ports import JobRunner, Point, ServiceHost, Work
from dd_ray.services.stats import Stats
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _JobRecord:
    job: Job
    call: Mapping[str, Any]
    history: History = field(default_factory=History)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _ServiceRecord:
    definition: ServiceDefinition
    ready: bool = False
    version: int = 1
    next_job: int = 1
    next_blocking: int = -1
    jobs: dict[int, _JobRecord] = field(default_factory=dict)
    training: asyncio.Lock = field(default_factory=asyncio.Lock)
    stats: Stats = field(default_factory=Stats)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as one question found it."""

    job: Job
    elapsed_s: float
    measure: Mapping[str, Any]
    history: Mapping[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A service as one question found it."""

    definition: ServiceDefinition
    stats: Stats
    jobs: Sequence[JobView]

    @property
    def training(self) -> bool:
        return any(not view.job.ended for view in self.jobs)


class State:
    """Services and jobs. One event loop, so what stands between two awaits is atomic."""

    def __init__(
        self,
        host: ServiceHost,
        runner: JobRunner,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._runner = runner
        self._settings = settings
        self._clock = clock
        self._services: dict[str, _ServiceRecord] = {}
        self._changes = 0
        self._changed = asyncio.Event()

    # -- services -------------------------------------------------------------------------------

    async def check_free(self, name: str) -> None:
        """Raises ServiceExists when the name is taken, also by a service being created or ended."""
        if name in self._services:
            raise ServiceExists(repr(name))

    async def create(self, definition: ServiceDefinition) -> None:
        """Starts a service; exactly one of several calls with the same name succeeds."""
        await self.check_free(definition.name)
        record = _ServiceRecord(definition)
        self._services[definition.name] = record
        try:
            await self._host.deploy(definition, record.version)
        except BaseException:
            self._services.pop(definition.name, None)
            raise
        record.ready = True
        self._note_change()
        logger.info("service %s created: %s", definition.name, definition.mllib)

    async def delete(self, name: str, clear: str) -> None:
        """Stops a service's jobs, clears its files as asked, ends it; kept if clearing fails."""
        record = self._ready(name)
        record.ready = False
        try:
            await asyncio.gather(*(self._halt(record, each) for each in list(record.jobs.values())))
            await asyncio.to_thread(_clear, record.definition, clear)
        except ApiError as exc:
            record.ready = True
            raise LibraryError(exc.message) from exc
        except BaseException:
            record.ready = True
            raise
        self._note_change()
        try:
            await self._host.undeploy(name)
        finally:
            self._services.pop(name, None)
        logger.info("service %s deleted", name)

    async def view(self, name: str) -> ServiceView:
        """A service; raises ServiceNotFound."""
        return self._view(self._ready(name))

    async def views(self) -> list[ServiceView]:
        return [self._view(record) for record in self._services.values() if record.ready]

    async def names(self, seen: int = -1) -> tuple[int, list[str]]:
        """The services that can be called, and a number that grows when they change.

        With the number of an earlier answer as `seen`, waits up to a minute for a change.
        """
        if seen == self._changes:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 60)
        return self._changes, [name for name, record in self._services.items() if record.ready]

    async def count(self, name: str, stats: Stats) -> None:
        """Adds what a replica has counted."""
        record = self._services.get(name)
        if record is not None:
            record.stats.add(stats)

    # -- jobs -----------------------------------------------------------------------------------

    async def submit(self, service: str, call: Mapping[str, Any]) -> int:
        """Accepts a training; it runs after the ones accepted before it. Returns its id."""
        record = self._ready(service)
        waiting = sum(not each.job.ended for each in record.jobs.values())
        if waiting > self._settings.job_queue:
            raise BadRequest(f"{waiting} jobs wait already; DD_RAY_JOB_QUEUE allows no more")
        number, record.next_job = record.next_job, record.next_job + 1
        self._start(record, number, call, blocking=False)
        return number

    async def train(self, service: str, call: Mapping[str, Any]) -> JobView:
        """Trains and waits; raises what the training raised."""
        record = self._ready(service)
        number, record.next_blocking = record.next_blocking, record.next_blocking - 1
        each = self._start(record, number, call, blocking=True)
        await each.ended.wait()
        record.jobs.pop(number, None)
        return self._job_view(each, history=True)

    async def report(self, service: str, job: int, points: Sequence[Point]) -> None:
        """What a running training has to say."""
        record = self._services.get(service)
        each = record.jobs.get(job) if record else None
        if each is not None and not each.job.ended:
            for point in points:
                each.history.add(point)

    async def job(self, service: str, job: int, *, timeout_s: float) -> JobView:
        """A job, after waiting for its end as long as asked; an ended one is handed out once."""
        record = self._ready(service)
        each = self._find(record, job)
        if timeout_s > 0 and not each.job.ended:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(each.ended.wait(), timeout_s)
            each = self._find(record, job)  # another call may have taken it meanwhile
        if each.job.ended:
            del record.jobs[job]
        return self._job_view(each, history=True)

    async def stop(self, service: str, job: int) -> JobView | None:
        """Stops a job and waits until it has stopped; None when it had ended by itself before."""
        record = self._ready(service)
        each = self._find(record, job)
        if each.job.ended:
            return None
        await self._halt(record, each)
        record.jobs.pop(job, None)
        return self._job_view(each, history=False)

    # -- inside ---------------------------------------------------------------------------------

    def _note_change(self) -> None:
        self._changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _ready(self, name: str) -> _ServiceRecord:
        record = self._services.get(name)
        if record is None or not record.ready:
            raise ServiceNotFound(repr(name))
        return record

    def _find(self, record: _ServiceRecord, job: int) -> _JobRecord:
        each = record.jobs.get(job)
        if each is None or each.job.blocking:
            raise JobNotFound(f"{job} of service {record.definition.name!r}")
        return each

    def _start(
        self, record: _ServiceRecord, number: int, call: Mapping[str, Any], *, blocking: bool
    ) -> _JobRecord:
        name = record.definition.name
        job = Job(service=name, id=number, accepted=self._clock(), blocking=blocking)
        each = _JobRecord(job, call)
        record.jobs[number] = each
        each.task = asyncio.create_task(self._carry_out(record, each))
        return each

    async def _carry_out(self, record: _ServiceRecord, each: _JobRecord) -> None:
        """Runs a job in its turn; whatever happens, it ends."""
        try:
            async with record.training:
                if not each.job.ended:
                    each.job = advance(each.job, Started())
                    await self._run(record, each)
        except ApiError as exc:
            each.job = advance(each.job, Failed(error_status(exc)))
        except Exception:
            logger.exception("job %s of %s failed", each.job.id, each.job.service)
            error = InternalError("the training failed unexpectedly, see the server's log")
            each.job = advance(each.job, Failed(error_status(error)))
        finally:
            if not each.job.ended:  # cancelled with the server
                gone = InternalError("the server stopped during the training")
                each.job = advance(each.job, Failed(error_status(gone)))
            each.ended.set()
            logger.info("job %s of %s: %s", each.job.id, each.job.service, each.job.status)

    async def _run(self, record: _ServiceRecord, each: _JobRecord) -> None:
        work = Work(definition=record.definition, job=each.job.id, call=each.call)
        try:
            body = await self._runner.run(work)
        finally:  # what was saved is served, also when the training ended early
            record.version += 1
            await self._host.deploy(record.definition, record.version)
        each.job = advance(each.job, Succeeded(body))

    async def _halt(self, record: _ServiceRecord, each: _JobRecord) -> None:
        """Stops a job wherever it is and waits for its end."""
        running = not each.job.ended
        each.job = advance(each.job, StopAsked())
        if each.job.ended:
            each.ended.set()
        elif running:
            self._runner.stop(each.job.service, each.job.id)
        await each.ended.wait()

    def _view(self, record: _ServiceRecord) -> ServiceView:
        jobs = [self._job_view(each, history=False) for each in record.jobs.values()]
        return ServiceView(definition=record.definition, stats=record.stats, jobs=jobs)

    def _job_view(self, each: _JobRecord, *, history: bool) -> JobView:
        return JobView(
            job=each.job,
            elapsed_s=max(self._clock() - each.job.accepted, 0.0),
            measure=dict(each.history.measure),
            history=each.history.series(0) if history else {},
        )


def _clear(definition: ServiceDefinition, clear: str) -> None:
    repository = Repository(definition.repository)
    match clear:
        case "lib":
            repository.clear_library(definition.mllib_spec.model_suffixes)
        case "full":
            repository.clear()
        case "dir":
            repository.remove()
        case _:  # `mem`, `index` without an index, and any other word, leave the files
            pass
