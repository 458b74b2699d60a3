"""One service in this process: its model, its port, and what it tells the state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self

import ray
from ray import serve

from dd_ray.api.fast_server import FastServer
from dd_ray.cluster.remote_state import RemoteState
from dd_ray.services.answer import Rendered
from dd_ray.services.batching import Batcher
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.endpoints import REGISTER_EVERY_S
from dd_ray.services.pipeline import Pipeline
from dd_ray.services.stats import Stats
from dd_ray.services.tickets import Done, Limits, Ticket
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_TELL_EVERY_S = 0.25
"""The state hears this from all replicas, and it costs more to say than a prediction."""


class Served:
    """Answers predict calls of a service from `start` to `close`."""

    def __init__(self, pipeline: Pipeline, server_key: str, state: RemoteState) -> None:
        self._pipeline = pipeline
        self._state = state
        self._stats = Stats()
        self._batcher = Batcher(pipeline, self._stats, limits=_limits())
        self._server = FastServer(
            self._submit, key=server_key, max_body_bytes=settings().max_body_bytes
        )
        self._telling: asyncio.Task[None] | None = None
        self._registering: asyncio.Task[None] | None = None
        self._at = ("", 0)

    @classmethod
    async def start(cls, definition: ServiceDefinition, state: RemoteState) -> Self:
        """Loads a service's model and takes calls at a port of its own, which the edges learn."""
        pipeline = await asyncio.to_thread(Pipeline, definition)
        served = cls(pipeline, await state.cluster_key(), state)
        host = ray.util.get_node_ip_address()
        served._at = host, await served._server.start(host)
        await served.register()
        served._registering = asyncio.create_task(served._register_again())
        return served

    @property
    def waiting(self) -> int:
        """Calls that have been taken and not answered."""
        return self._batcher.waiting

    async def predict(self, raws: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """Status and body of the answer to each of several predict calls, in their order."""
        name = self._batcher.name
        answers: list[Rendered] = await asyncio.gather(
            *(self._batcher.predict(raw, name) for raw in raws)
        )
        self._counted()
        return [(answer.code, answer.content) for answer in answers]

    async def reload(self) -> None:
        """Loads the newest model; requests go on with the old one until it is there."""
        await asyncio.to_thread(self._pipeline.reload)
        await self.register()

    async def register(self) -> None:
        """Tells the state where it listens, and what keeps it from predicting."""
        name, replica = self._pipeline.definition.name, serve.get_replica_context().replica_tag
        try:
            await self._state.tell_endpoint(name, replica, *self._at, self._pipeline.problem)
        except ray.exceptions.RayError as exc:
            logger.warning("the state was not told where %s listens: %s", name, exc)

    async def close(self) -> None:
        """Takes no more calls; returns when those under way are answered."""
        if self._registering is not None:
            self._registering.cancel()
        await self._server.close()
        self._batcher.close()

    async def _register_again(self) -> None:
        """A state that was restarted has forgotten it."""
        while True:
            await asyncio.sleep(REGISTER_EVERY_S)
            await self.register()

    def _submit(self, raw: bytes, done: Done, name: str) -> Ticket:
        def answered(rendered: Rendered) -> None:
            done(rendered)
            self._counted()

        return self._batcher.submit(raw, answered, name)

    def _counted(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """Sends what was counted, at once and then at most every _TELL_EVERY_S."""
        while self._stats.counted:
            await self._state.tell_count(self._pipeline.definition.name, self._stats.take())
            await asyncio.sleep(_TELL_EVERY_S)
        self._telling = None


def _limits() -> Limits:
    given = settings()
    return Limits(
        rows=given.batch_rows,
        waiting=given.queue_calls,
        wait_s=given.batch_wait_ms / 1000,
        timeout_s=given.predict_timeout_s,
    )
