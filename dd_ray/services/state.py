"""The one owner of services and jobs: who exists, what trains, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dd_ray.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    InternalError,
    JobNotFound,
    LibraryError,
    ServiceExists,
    ServiceNotFound,
    Unavailable,
)
from dd_ray.repository import Repository
from dd_ray.services import schema
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.deploying import STARTING, Deploying
from dd_ray.services.jobs import Job
from dd_ray.services.metrics import Sample, samples
from dd_ray.services.needs import shares
from dd_ray.services.once import Once
from dd_ray.services.ports import JobRunner, Point, ServiceHost
from dd_ray.services.records import (
    JobRecord,
    JobView,
    PastJob,
    Readiness,
    ServiceRecord,
    ServiceView,
    job_view,
    problem_of,
    service_view,
)
from dd_ray.services.reports import Reports
from dd_ray.services.request_counts import RequestCounts, Requests
from dd_ray.services.schema import Statement
from dd_ray.services.stats import Stats
from dd_ray.services.store import Store
from dd_ray.services.trainings import Trainings, service_row
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)


class State:
    """Services and jobs. One event loop, so what stands between two awaits is atomic.

    What a method has accepted is in the store before it returns. `request` names a request that
    may come again because this process died before it answered; it is carried out once.
    """

    def __init__(
        self,
        host: ServiceHost,
        runner: JobRunner,
        settings: Settings,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._store = store
        self._clock = clock
        self._services: dict[str, ServiceRecord] = {}
        self._deploying = Deploying(host)
        self._trainings = Trainings(
            runner, store, settings, clock=clock, serve=self._deploying.renew
        )
        self._reports = Reports(store, history_jobs=settings.job_history, clock=clock)
        self._once = Once(store)
        self._requests = RequestCounts()
        self._changes = int(clock() * 1000)  # so that it also grows from one process to the next
        self._changed = asyncio.Event()

    async def restore(self) -> None:
        """Takes up what the store holds; to be awaited before anything else."""
        services, jobs = await self._store.read(lambda c: (schema.services(c), schema.jobs(c)))
        for kept in services:
            record = self._services[kept.definition.name] = ServiceRecord(
                kept.definition,
                ready=True,
                version=kept.version,
                next_job=kept.next_job,
                next_blocking=kept.next_blocking,
            )
            self._deploying.restore(record)
        for job in jobs:
            await self._trainings.take_up(self._services.get(job.job.service), job)
        self._deploying.end_others(list(self._services))
        if services:
            logger.info("%d services are back", len(services))

    # -- services -------------------------------------------------------------------------------

    async def check_free(self, name: str) -> None:
        """Raises ServiceExists when the name is taken, also by a service being created or ended."""
        if name in self._services:
            raise ServiceExists(repr(name))

    async def create(self, definition: ServiceDefinition, *, request: str = "") -> None:
        """Starts a service; exactly one of several calls with the same name succeeds."""
        await self._once(request, partial(self._create, definition, request))

    async def _create(self, definition: ServiceDefinition, request: str) -> None:
        await self.check_free(definition.name)
        most = self._settings.max_services
        if len(self._services) >= most:
            raise BadRequest(f"there are {most} services, DD_RAY_MAX_SERVICES allows no more")
        record = self._services[definition.name] = ServiceRecord(definition)
        try:
            await self._deploying.newest(record)
            await self._store.commit(service_row(record), *self._answer(request, None))
        except BaseException:
            await self._abandon(record)
            raise
        record.ready = True
        self._note_change()
        logger.info("service %s created: %s", definition.name, definition.mllib)

    async def _abandon(self, record: ServiceRecord) -> None:
        """Ends what there is of a service that was not accepted, and frees its name."""
        name = record.definition.name
        try:
            await self._deploying.end(record)
        except ApiError as exc:
            logger.warning("what was begun of service %s was not ended: %s", name, exc)
        finally:
            self._services.pop(name, None)

    async def delete(self, name: str, clear: str, *, request: str = "") -> None:
        """Stops a service's jobs, clears its files as asked, ends it; kept if clearing fails."""
        await self._once(request, partial(self._delete, name, clear, request))

    async def _delete(self, name: str, clear: str, request: str) -> None:
        record = self._ready(name)
        record.ready = False
        try:
            stops = (self._trainings.stop(record, each) for each in list(record.jobs.values()))
            await asyncio.gather(*stops)
            record.next_blocking -= 1  # something to write: a full disk refuses before files go
            await self._store.commit(service_row(record))
            await asyncio.to_thread(_clear, record.definition, clear)
            await self._store.commit(*schema.drop_service(name), *self._answer(request, None))
        except (Forbidden, InternalError, Unavailable):
            record.ready = True
            raise
        except ApiError as exc:
            record.ready = True
            raise LibraryError(exc.message) from exc
        except BaseException:
            record.ready = True
            raise
        self._note_change()
        try:
            await self._deploying.end(record)
        finally:
            self._services.pop(name, None)
        logger.info("service %s deleted", name)

    async def view(self, name: str) -> ServiceView:
        """A service, with what it and its jobs wait for; raises ServiceNotFound."""
        record = self._ready(name)
        waits = {
            number: await self._trainings.waits(record, each)
            for number, each in list(record.jobs.items())
        }
        view = self._view(record)
        return replace(
            view,
            problem=await self._deploying.problem(record, view.problem),
            jobs=[replace(job, waits=waits.get(job.job.id, "")) for job in view.jobs],
        )

    async def views(self) -> list[ServiceView]:
        return [self._view(record) for record in self._services.values() if record.ready]

    async def shared(self) -> list[tuple[ServiceDefinition, int]]:
        """The services that share a process, and the versions of their models."""
        return [
            (record.definition, record.version)
            for record in self._services.values()
            if record.ready and shares(record.definition.effective({}).mllib, self._settings)
        ]

    async def readiness(self) -> Readiness:
        records = [record for record in self._services.values() if record.ready]
        problems = [problem_of(record, self._deploying.replicas(record)) for record in records]
        return Readiness(
            count=len(records), ready=problems.count(""), starting=problems.count(STARTING)
        )

    async def names(self, seen: int = -1) -> tuple[int, list[str]]:
        """The services that there are, and a number that grows when they change.

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

    async def count_requests(self, requests: Sequence[Requests]) -> None:
        """Adds what an API has counted."""
        self._requests.add(requests)

    async def samples(self) -> list[Sample]:
        """What GET /metrics shows."""
        return samples(
            [record for record in self._services.values() if record.ready],
            ready=(await self.readiness()).ready,
            jobs=await self._store.read(schema.job_counts),
            requests=self._requests.all(),
            most=self._settings.metrics_services,
        )

    # -- jobs -----------------------------------------------------------------------------------

    async def submit(self, service: str, call: Mapping[str, Any], *, request: str = "") -> int:
        """Accepts a training; it runs after the ones accepted before it. Returns its id."""
        return await self._once(request, partial(self._submit, service, call, request))

    async def _submit(self, service: str, call: Mapping[str, Any], request: str) -> int:
        record = self._ready(service)
        waiting = sum(not each.job.ended for each in record.jobs.values())
        if waiting > self._settings.job_queue:
            raise BadRequest(f"{waiting} jobs wait already; DD_RAY_JOB_QUEUE allows no more")
        await self._trainings.check_place(record, call)
        number, record.next_job = record.next_job, record.next_job + 1
        job = self._job(record, number, request)
        try:
            await self._trainings.accept(record, job, call, *self._answer(request, number))
        except BaseException:
            if record.next_job == number + 1:  # numbers have no gaps
                record.next_job = number
            raise
        return number

    async def train(self, service: str, call: Mapping[str, Any], *, request: str = "") -> JobView:
        """Trains and waits; the view says what went wrong."""
        record = self._ready(service)
        each = next((e for e in record.jobs.values() if request and e.job.key == request), None)
        if each is None:
            past = await self._store.read(lambda c: schema.past_jobs(c, key=request))
            if request and past:
                return past[0].view
            await self._trainings.check_place(record, call)
            number, record.next_blocking = record.next_blocking, record.next_blocking - 1
            job = self._job(record, number, request, blocking=True)
            each = await self._trainings.accept(record, job, call)
        await each.ended.wait()
        return job_view(each, self._clock(), each.history)

    async def report(
        self, service: str, job: int, key: str, attempt: int, batch: int, points: Sequence[Point]
    ) -> bool:
        """What a running training has to say; False when it is to end, its turn being over."""
        record = self._services.get(service)
        each = record.jobs.get(job) if record else None
        if each is None or each.job.key != key:
            return False
        return await self._trainings.report(each, attempt, batch, points)

    async def job(self, service: str, job: int, *, timeout_s: float, request: str = "") -> JobView:
        """A job, after waiting for its end as long as asked.

        The report of an ended one is the caller's until it confirms or releases it; others wait
        for that and then find no job, or get it.
        """
        record = self._ready(service)
        each = self._find(record, job)
        if timeout_s > 0 and not each.job.ended:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(each.ended.wait(), timeout_s)
        if not each.job.ended:
            waits = await self._trainings.waits(record, each)
            return job_view(each, self._clock(), each.history, waits=waits)
        if not await self._reports.ask(each, request):
            raise JobNotFound(f"{job} of service {service!r}")
        history = await self._store.read(lambda c: schema.history(c, each.job.key))
        return job_view(each, self._clock(), history)

    async def confirm(self, service: str, job: int, *, request: str) -> None:
        """The client of a request to `job` has the final report; nobody gets it again."""
        record = self._services.get(service)
        each = record.jobs.get(job) if record else None
        if record and each and await self._reports.confirm(each, request):
            record.jobs.pop(job, None)

    async def release(self, service: str, job: int, *, request: str) -> None:
        """The client of a request to `job` was gone before it had the final report."""
        record = self._services.get(service)
        each = record.jobs.get(job) if record else None
        if each is not None:
            await self._reports.release(each, request)

    async def stop(self, service: str, job: int, *, request: str = "") -> float | None:
        """Stops a job and waits until it has stopped; the seconds since it was accepted.

        None when it had ended by itself before.
        """
        return await self._once(request, partial(self._stop, service, job, request))

    async def _stop(self, service: str, job: int, request: str) -> float | None:
        record = self._ready(service)
        each = self._find(record, job)
        if each.job.ended:
            return None
        await self._trainings.stop(record, each)
        elapsed_s = job_view(each, self._clock()).elapsed_s
        await self._store.commit(*self._answer(request, elapsed_s))
        await self._reports.leave(each)
        record.jobs.pop(job, None)
        return elapsed_s

    async def past_jobs(self, service: str = "", *, most: int = 100) -> list[PastJob]:
        """What became of the jobs whose reports were taken, the newest first."""
        return await self._store.read(lambda c: schema.past_jobs(c, service, most=most))

    # -- inside ---------------------------------------------------------------------------------

    def _view(self, record: ServiceRecord) -> ServiceView:
        return service_view(record, self._clock(), self._deploying.replicas(record))

    def _note_change(self) -> None:
        self._changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _answer(self, request: str, answer: Any) -> list[Statement]:
        return schema.add_answer(request, answer, now=self._clock()) if request else []

    def _job(
        self, record: ServiceRecord, number: int, request: str, *, blocking: bool = False
    ) -> Job:
        return Job(
            service=record.definition.name,
            id=number,
            key=request or uuid.uuid4().hex,
            accepted=self._clock(),
            blocking=blocking,
        )

    def _ready(self, name: str) -> ServiceRecord:
        record = self._services.get(name)
        if record is None or not record.ready:
            raise ServiceNotFound(repr(name))
        return record

    def _find(self, record: ServiceRecord, job: int) -> JobRecord:
        each = record.jobs.get(job)
        if each is None or each.job.blocking:
            raise JobNotFound(f"{job} of service {record.definition.name!r}")
        return each


def _clear(definition: ServiceDefinition, clear: str) -> None:
    repository = Repository(definition.repository)
    with repository.named():
        match clear:
            case "lib":
                repository.clear_library(definition.mllib_spec.model_suffixes)
            case "full":
                repository.clear()
            case "dir":
                repository.remove()
            case _:  # `mem`, `index` without an index, and any other word, leave the files
                pass
