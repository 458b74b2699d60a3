"""The REST resources as a Serve application."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray import serve

from dd_ray.api.app import build
from dd_ray.cluster.host import RayHost
from dd_ray.cluster.state_actor import RemoteState, state_actor
from dd_ray.errors import ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.deepdetect import Server

logger = logging.getLogger(__name__)

APP_NAME = "dd-ray-api"


class KnownServices:
    """Which services there are, kept up to date by the state, so that a predict asks nobody."""

    def __init__(self, state: RemoteState) -> None:
        self._state = state
        self._seen = -1
        self._names: frozenset[str] = frozenset()
        self._watching: asyncio.Task[None] | None = None

    async def check(self, name: str) -> None:
        """Raises ServiceNotFound; asks the state itself before it says so."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        if name not in self._names:
            self._take(*await self._state.names())
            if name not in self._names:
                raise ServiceNotFound(repr(name))

    def _take(self, seen: int, names: list[str]) -> None:
        if seen >= self._seen:
            self._seen, self._names = seen, frozenset(names)

    async def _watch(self) -> None:
        while True:
            try:
                self._take(*await self._state.names(self._seen))
            except Exception:
                logger.warning("the state does not answer, asking again", exc_info=True)
                await asyncio.sleep(1)


class ApiHost(RayHost):
    """Calls services, and knows when one is gone while it is being called."""

    def __init__(self, known: KnownServices) -> None:
        super().__init__()
        self._known = known

    async def predict(self, name: str, raw: bytes) -> Rendered:
        await self._known.check(name)
        return await super().predict(name, raw)


def build_asgi() -> Any:
    """The ASGI app of a replica."""
    state = RemoteState(state_actor())
    return build(Server(state, ApiHost(KnownServices(state))))


def api_app(args: dict[str, Any] | None = None) -> serve.Application:
    """The application to deploy, also from a Serve config file; `args` are those of the file."""
    ingress = serve.ingress(build_asgi)()
    deployment = serve.deployment(ingress).options(
        name="api",
        num_replicas=1,
        max_ongoing_requests=10_000,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={"num_cpus": 0},
    )
    return deployment.bind()
