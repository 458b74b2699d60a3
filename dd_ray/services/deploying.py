"""Keeping what runs in step with the services that there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from dd_ray.errors import ApiError, LibraryError
from dd_ray.services.ports import Replica, ServiceHost
from dd_ray.services.records import NO_REPLICA, ServiceRecord

logger = logging.getLogger(__name__)

STARTING = "the service is being started"
"""The problem of a service that is coming back and has not been tried yet."""

_AT_A_TIME = 4
"""Services that are started together when a server comes back."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Deploying:
    """Starts and ends services on a host."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._ending_others: asyncio.Task[None] | None = None

    async def newest(self, record: ServiceRecord) -> None:
        """Starts a service, or makes it load what its version stands for; raises ApiError."""
        if self._ending_others is not None:  # perhaps one of this name
            await asyncio.shield(self._ending_others)
        await self._host.deploy(record.definition, record.version)
        record.problem = ""

    async def renew(self, record: ServiceRecord) -> None:
        """Has a service load its newest model; raises ApiError.

        One that has lost its place does so when it has one again, however long that takes.
        """
        if not self.replicas(record):
            place = await self._host.place(record.definition)
            if place.waits or place.never:
                await _cancel(record)
                self._start(record, NO_REPLICA)
                return
        await self.newest(record)

    async def end(self, record: ServiceRecord) -> None:
        """Ends a service; returns when its name is free."""
        await _cancel(record)
        await self._host.undeploy(record.definition.name)

    async def problem(self, record: ServiceRecord, problem: str) -> str:
        """The problem of a service, with what its replicas wait for where that is a place."""
        if problem not in (STARTING, NO_REPLICA):
            return problem
        place = await self._host.place(record.definition)
        lacking = place.waits or place.never
        return f"{problem}: it {lacking}" if lacking else problem

    def replicas(self, record: ServiceRecord) -> list[Replica]:
        return self._host.replicas(record.definition.name)

    def restore(self, record: ServiceRecord) -> None:
        """Starts a service that was accepted before, however long it takes until it can run."""
        self._start(record, STARTING)

    def _start(self, record: ServiceRecord, problem: str) -> None:
        """Tries until it has started; `problem` is what it has until it was tried."""
        record.problem = problem
        record.deploying = asyncio.create_task(self._persist(record))

    def end_others(self, known: Collection[str]) -> None:
        """Ends what runs without a service, left by a creation or deletion that was broken off."""
        self._ending_others = asyncio.create_task(self._end_others(known))

    async def _end_others(self, known: Collection[str]) -> None:
        try:
            await self._host.end_others(known)
        except Exception:  # whatever it is: all that is started waits for this
            logger.exception("what runs without a service was not ended")

    async def _persist(self, record: ServiceRecord) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._slots:
                    await self.newest(record)
            except Exception as exc:  # whatever it is, it may pass: a disk that is not there yet
                problem = exc if isinstance(exc, ApiError) else LibraryError(repr(exc))
                record.problem = f"the service could not be started: {problem.message}"
                logger.warning("service %s: %s", record.definition.name, record.problem)
            else:
                record.deploying = None
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


async def _cancel(record: ServiceRecord) -> None:
    """Ends the attempts at starting a service."""
    if record.deploying is not None:
        record.deploying.cancel()
        await asyncio.wait([record.deploying])
