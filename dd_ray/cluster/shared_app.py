"""Services that share one process: a Serve application that takes them up and drops them.

A process of its own costs a service 200 MB and a second to begin, nearly all of it Ray's. What
services pay for sharing one is that they also share its fate and its one core of Python.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from ray import serve

from dd_ray.cluster.log_flags import serve_logging
from dd_ray.cluster.remote_state import RemoteState, find_state
from dd_ray.cluster.served import Served
from dd_ray.errors import ServiceNotFound
from dd_ray.logs import set_up
from dd_ray.services.definition import ServiceDefinition
from dd_ray.settings import settings

logger = logging.getLogger(__name__)


class SharedServices:
    """Answers predict calls of all services that share this process."""

    def __init__(self) -> None:
        set_up(settings())
        self._state = RemoteState(find_state())
        self._served: dict[str, tuple[int, Served]] = {}
        self._changing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reconfigure(self, _: Mapping[str, Any]) -> None:
        """Takes up what a process before this one answered for. Serve calls it at the start."""
        services = await self._state.shared()
        taking_up = (self.take_up(*each) for each in services)
        for failed in await asyncio.gather(*taking_up, return_exceptions=True):
            if failed is not None:  # the others are not to suffer
                logger.error("a service was not taken up", exc_info=failed)

    async def take_up(self, definition: ServiceDefinition, version: int) -> None:
        """Answers for a service from now on, with the model of that version."""
        name = definition.name
        async with self._changing[name]:
            known, served = self._served.get(name, (0, None))
            if served is None:
                served = await Served.start(definition, self._state)
            elif known < version:
                await served.reload()
            else:
                await served.register()  # a state that was restarted asks again
            self._served[name] = max(known, version), served

    async def drop(self, names: Collection[str]) -> int:
        """Ends services; how many are left."""
        await asyncio.gather(*(self._drop(name) for name in names))
        return len(self._served)

    async def keep(self, names: Collection[str]) -> int:
        """Ends all services but these; how many are left."""
        return await self.drop(self._served.keys() - set(names))

    async def predict(self, name: str, raws: list[bytes]) -> list[tuple[int, bytes]]:
        """See Served.predict; raises ServiceNotFound."""
        if name not in self._served:
            raise ServiceNotFound(repr(name))
        return await self._served[name][1].predict(raws)

    async def _drop(self, name: str) -> None:
        async with self._changing[name]:
            _, served = self._served.pop(name, (0, None))
            if served is not None:
                await served.close()


def shared_app() -> serve.Application:
    """The application of all services that share a process."""
    deployment = serve.deployment(SharedServices).options(
        name="shared",
        user_config={"version": 1},  # without one, reconfigure is not called
        version="1",
        _internal=True,
        max_ongoing_requests=1000,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
        logging_config=serve_logging(settings()),
        ray_actor_options={"num_cpus": 0},
    )
    return deployment.bind()
