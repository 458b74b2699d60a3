"""What the owner of services tells the process that some of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from ray import serve

from dd_ray.cluster.applications import deploy_app, is_deployed, undeploy_app
from dd_ray.cluster.names import SHARED_APP
from dd_ray.cluster.remote import insist
from dd_ray.services.definition import ServiceDefinition


class SharedHost:
    """Starts the shared process for the first service and ends it with the last."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._changing = asyncio.Lock()

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        """Has it answer for a service, with the model of that version; raises ApiError."""
        from dd_ray.cluster.shared_app import shared_app

        async with self._changing:
            self._names.add(definition.name)
            if not await asyncio.to_thread(is_deployed, SHARED_APP):
                await asyncio.to_thread(deploy_app, shared_app(), SHARED_APP, route_prefix=None)
        await _tell("take_up", definition, version)

    async def undeploy(self, name: str) -> None:
        async with self._changing:
            self._names.discard(name)
            if await asyncio.to_thread(is_deployed, SHARED_APP):
                await self._end_if_empty(await _tell("drop", [name]))

    async def end_others(self, names: Collection[str]) -> None:
        """Ends all services in it but those of these names."""
        async with self._changing:
            if await asyncio.to_thread(is_deployed, SHARED_APP):
                await self._end_if_empty(await _tell("keep", names))

    async def _end_if_empty(self, left: int) -> None:
        if not (left or self._names):
            await asyncio.to_thread(undeploy_app, SHARED_APP)


async def _tell(method: str, *args: Any) -> Any:
    """Calls a method of SharedServices."""
    handle: Any = await asyncio.to_thread(serve.get_app_handle, SHARED_APP)
    dies = "the process that services share dies again and again, see the server's log"
    return await insist(lambda: getattr(handle, method).remote(*args), dies=dies)
