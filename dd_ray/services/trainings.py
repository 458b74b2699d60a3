"""Carrying out the jobs of services: each in its turn, attempt after attempt, to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dd_ray.attempts import close_job, open_job
from dd_ray.errors import ApiError, BadParameter, InternalError, LibraryError, Unavailable
from dd_ray.services import recovery, schema
from dd_ray.services.answer import error_status
from dd_ray.services.history import History
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
from dd_ray.services.ports import JobRunner, Point, TrainingDied, Work
from dd_ray.services.records import JobRecord, ServiceRecord
from dd_ray.services.recovery import Fate
from dd_ray.services.schema import Statement, StoredJob
from dd_ray.services.seeds import with_seeds
from dd_ray.services.store import Store
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0
"""Between two tries to write what has happened and cannot be undone."""

_FEW_POINTS = 10_000
"""Reports after which a history is written anew at the earliest."""


class Trainings:
    """Runs the jobs of all services. `serve` makes a service load its newest model."""

    def __init__(
        self,
        runner: JobRunner,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], float],
        serve: Callable[[ServiceRecord], Awaitable[None]],
    ) -> None:
        self._runner = runner
        self._store = store
        self._settings = settings
        self._clock = clock
        self._serve = serve

    async def check_place(self, record: ServiceRecord, call: Mapping[str, Any]) -> None:
        """Raises BadParameter for a training that the cluster can never run.

        Other mistakes of a call are found by its training, as DeepDetect does.
        """
        try:
            place = await self._runner.place(record.definition, call)
        except ApiError:
            return
        if place.never:
            raise BadParameter(f"the training can never run here: it {place.never}")

    async def accept(
        self, record: ServiceRecord, job: Job, call: Mapping[str, Any], *with_it: Statement
    ) -> JobRecord:
        """Keeps a job and lets it run after those accepted before it."""
        fixed = with_seeds(record.definition, call, draw=lambda: secrets.randbits(31))
        each = record.jobs[job.id] = JobRecord(job, fixed)
        kept = schema.add_job(job, fixed, record.definition.repository)
        try:
            await self._store.commit(*kept, service_row(record), *with_it)
        except BaseException:
            record.jobs.pop(job.id, None)
            raise
        self._start(record, each)
        return each

    async def take_up(self, record: ServiceRecord | None, kept: StoredJob) -> None:
        """Goes on with a job that an earlier process has kept; `record` is of its service."""
        becomes = recovery.fate(kept, service_there=record is not None)
        if recovery.has_litter(kept, becomes):
            await self.clear(kept.job.key, kept.repository)
        if becomes is Fate.PAST:
            return
        assert record is not None
        each = record.jobs[kept.job.id] = JobRecord(kept.job, kept.call, handout=kept.handout)
        if becomes is Fate.HAND_OUT:
            each.ended.set()
            return
        each.history = await self._store.read(lambda c: schema.history(c, kept.job.key))
        each.batches = kept.batches
        logger.info("job %s of %s goes on", kept.job.id, kept.job.service)
        self._start(record, each)

    def _start(self, record: ServiceRecord, each: JobRecord) -> None:
        each.task = asyncio.create_task(self._carry_out(record, each))

    async def stop(self, record: ServiceRecord, each: JobRecord) -> None:
        """Stops a job wherever it is and waits for its end."""
        if each.job.status is Status.QUEUED:
            each.job = advance(each.job, StopAsked())  # at once, so that it does not begin
            await self._end(record, each, StopAsked())
        elif not each.job.ended:
            each.job = advance(each.job, StopAsked())
            await self._store.commit(schema.set_job(each.job))
            self._runner.stop(self._work(record, each))
        await each.ended.wait()

    async def report(
        self, each: JobRecord, attempt: int, batch: int, points: Sequence[Point]
    ) -> bool:
        """Keeps what an attempt has to say; False when it is no longer its turn.

        A batch may come again, when its sender was not told that it had arrived.
        """
        if each.job.ended or attempt != each.job.attempt:
            return False
        if batch < each.batches:
            return True
        statements = [schema.add_points(each.job.key, attempt, batch, points)]
        reached = [point["checkpoint"] for point in points if "checkpoint" in point]
        if reached:
            each.job = advance(each.job, Reached(reached[-1]))
            statements.append(schema.set_job(each.job))
        await self._store.commit(*statements)
        if batch < each.batches or attempt != each.job.attempt:
            return attempt == each.job.attempt
        each.batches = batch + 1
        each.unsaved += len(points)
        for point in points:
            each.history.add(point)
        if each.unsaved >= max(len(each.history) // 2, _FEW_POINTS):
            each.unsaved = 0
            dump = each.history.dump()
            await self._store.commit(
                *schema.replace_points(each.job.key, attempt, dump, batch=batch)
            )
        return True

    async def waits(self, record: ServiceRecord, each: JobRecord) -> str:
        """What a job waits for before it begins; empty when it has begun."""
        if each.begun or each.job.ended:
            return ""
        if each.job.status is Status.QUEUED:
            return "another training of this service comes first"
        try:
            place = await self._runner.place(record.definition, each.call)
        except ApiError:
            return ""
        return place.waits or place.never  # there was one when it was accepted, and a node is lost

    # -- inside ---------------------------------------------------------------------------------

    async def _carry_out(self, record: ServiceRecord, each: JobRecord) -> None:
        """Runs a job in its turn; whatever happens, it ends."""
        async with record.training:
            if each.job.ended:
                return
            try:
                event = await self._attempts(record, each)
            except ApiError as exc:
                event = Failed(error_status(exc))
            except Exception:
                logger.exception("job %s of %s failed", each.job.id, each.job.service)
                error = InternalError("the training failed unexpectedly, see the server's log")
                event = Failed(error_status(error))
            await self._end(record, each, event)

    async def _attempts(self, record: ServiceRecord, each: JobRecord) -> Event:
        """What ends the job: its first attempt that does not die, or too many that do."""
        # the process of an attempt outlives the state that began it
        there = each.job.attempt > 0 and await self._runner.runs(self._work(record, each))
        if each.job.stopping and not there:
            return Failed({})
        while True:
            if not there:
                await self._begin_attempt(record, each)
            there = False
            try:
                return Succeeded(await self._attempt(record, each))
            except TrainingDied as exc:
                logger.warning("job %s of %s: %s", each.job.id, each.job.service, exc)
                event = self._death(each.job, exc)
                after = advance(each.job, event)
                if after.ended:
                    return event
                each.job = after
                await self._insist(schema.set_job(after))

    async def _begin_attempt(self, record: ServiceRecord, each: JobRecord) -> None:
        """Its number is kept before there is a process, so that no two have the same."""
        each.job = advance(each.job, Started())
        each.batches = 0
        await self._insist(schema.set_folder(each.job.key, True), schema.set_job(each.job))
        await asyncio.to_thread(open_job, record.definition.repository, each.job.key)

    async def _attempt(self, record: ServiceRecord, each: JobRecord) -> dict[str, Any]:
        work = self._work(record, each)
        each.begun = False
        try:
            await self._runner.start(work)
            each.begun = True
            if each.job.stopping:
                self._runner.stop(work)
            return await self._runner.outcome(work)
        finally:
            await self._runner.end(work)

    def _death(self, job: Job, how: TrainingDied) -> Died:
        retries = self._settings.job_retries
        times = "" if retries == 0 else f" {retries + 1} times without getting further, at last"
        error = LibraryError(f"the training process died{times}: {how}")
        return Died(error_status(error), retries)

    async def _end(self, record: ServiceRecord, each: JobRecord, event: Event) -> None:
        """Serves what the job has saved, also when it ended early, and records its end.

        The job's folder goes after that: until then another attempt would find the result in it.
        """
        if each.job.attempt:
            record.version += 1
            try:
                await self._serve(record)
            except ApiError as exc:
                if isinstance(event, Succeeded):
                    event = Failed(error_status(exc))
        job = advance(each.job, event)
        statements = schema.end_job(job, each.history, now=self._clock())
        if job.blocking:
            statements += schema.leave_to_people(
                job.key, each.history, most=self._settings.job_history
            )
        await self._insist(*statements, service_row(record))
        each.job = job
        if job.blocking:  # the call that waits for it has it, nobody else can ask
            record.jobs.pop(job.id, None)
        else:
            each.history = History()
        if job.attempt:
            await self.clear(job.key, record.definition.repository)
        each.ended.set()
        logger.info("job %s of %s: %s", job.id, job.service, job.status)

    async def clear(self, key: str, repository: str) -> None:
        """Removes the folder of a job that has ended; what fails is tried at the next start."""
        try:
            await asyncio.to_thread(close_job, repository, key)
        except ApiError as exc:
            logger.warning("the files of a training were left: %s", exc)
            return
        await self._insist(schema.set_folder(key, False))

    async def _insist(self, *statements: Statement) -> None:
        """Writes what has happened already, as soon as that is possible."""
        while True:
            try:
                await self._store.commit(*statements)
            except (InternalError, Unavailable):
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _work(self, record: ServiceRecord, each: JobRecord) -> Work:
        return Work(
            definition=record.definition,
            job=each.job.id,
            key=each.job.key,
            attempt=each.job.attempt,
            call=each.call,
            checkpoint_s=self._settings.checkpoint_s,
        )


def service_row(record: ServiceRecord) -> Statement:
    """A service as the store keeps it."""
    return schema.put_service(
        record.definition,
        version=record.version,
        next_job=record.next_job,
        next_blocking=record.next_blocking,
    )
