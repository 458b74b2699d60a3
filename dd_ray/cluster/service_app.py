"""A service as a Serve application: one deployment that holds the loaded pipeline."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray import serve

from dd_ray.cluster.names import app_name
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.pipeline import Pipeline
from dd_ray.services.predict import answer_predict
from dd_ray.services.stats import Stats
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_TELL_EVERY_S = 0.05


class Service:
    """Answers predict calls of one service. Its configuration is the definition and a version."""

    def __init__(self) -> None:
        from dd_ray.cluster.state_actor import RemoteState, state_actor

        self._pipeline: Pipeline | None = None
        self._state = RemoteState(state_actor(create=False))
        self._stats = Stats()
        self._telling: asyncio.Task[None] | None = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Loads the newest model; requests go on with the old one until it is there."""
        if self._pipeline is None:
            definition = ServiceDefinition(**config["definition"])
            self._pipeline = await asyncio.to_thread(Pipeline, definition)
        else:
            await asyncio.to_thread(self._pipeline.reload)

    async def predict(self, raw: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a predict call."""
        assert self._pipeline is not None
        rendered = await answer_predict(
            self._pipeline, raw, self._stats, run=lambda work: asyncio.to_thread(work)
        )
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())
        return rendered.code, rendered.content

    async def _tell(self) -> None:
        """Sends what was counted, at once and then at most every _TELL_EVERY_S."""
        assert self._pipeline is not None
        while self._stats.predict_count:
            await self._state.tell_count(self._pipeline.definition.name, self._stats.take())
            await asyncio.sleep(_TELL_EVERY_S)
        self._telling = None


def service_app(definition: ServiceDefinition, version: int) -> serve.Application:
    """The application of a service. The same code with another version is only reconfigured."""
    deployment = serve.deployment(Service).options(
        name="service",
        user_config={"definition": definition.as_json(), "version": version},
        version="1",  # Serve restarts replicas when it changes, which a new model must not
        _internal=True,
        num_replicas=1,
        max_ongoing_requests=1000,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=10,
        ray_actor_options={"num_cpus": settings().service_cpus},
    )
    return deployment.bind()


__all__ = ["Service", "app_name", "service_app"]
