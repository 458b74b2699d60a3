"""Services on a cluster: where they are deployed, and calling them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, cast

from ray import serve
from ray.serve.exceptions import RayServeException

from dd_ray.cluster.applications import deploy_app, is_deployed, service_apps, undeploy_app
from dd_ray.cluster.memory import free_memory
from dd_ray.cluster.names import SHARED_APP, app_name
from dd_ray.cluster.reach import check_reach
from dd_ray.cluster.remote import insist
from dd_ray.cluster.resources import find_place, needs_of_service
from dd_ray.cluster.shared_host import SharedHost
from dd_ray.errors import BadParameter, ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.hop import Hop
from dd_ray.services.needs import shares
from dd_ray.services.placement import Place
from dd_ray.services.ports import Replica
from dd_ray.settings import settings


class RayHost:
    """Runs services: each as a Serve application, or several in one that they share."""

    def __init__(self) -> None:
        self._hops: dict[str, Hop] = {}
        self._shared = SharedHost()

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        from dd_ray.cluster.service_app import service_app

        if shares(definition.effective({}).mllib, settings()):
            await self._shared.deploy(definition, version)
            return
        await asyncio.to_thread(_check_place, definition)
        app = service_app(definition, version)
        await asyncio.to_thread(deploy_app, app, app_name(definition.name), route_prefix=None)

    async def undeploy(self, name: str) -> None:
        self._hops.pop(name, None)
        await asyncio.to_thread(undeploy_app, app_name(name))
        await self._shared.undeploy(name)

    async def end_others(self, names: Collection[str]) -> None:
        kept = {app_name(name) for name in names}
        try:
            found = await asyncio.to_thread(service_apps)
        except RayServeException:  # Serve, which starts beside the state, is not there yet
            return
        others = (asyncio.to_thread(undeploy_app, app) for app in found if app not in kept)
        await asyncio.gather(*others, self._shared.end_others(names))

    async def predict(self, name: str, raw: bytes) -> Rendered:
        for _ in range(2):  # it may have been made anew, in a process of another kind
            try:
                if name not in self._hops:
                    call = partial(_call, _method(name))
                    self._hops[name] = Hop(call, most_waiting=settings().queue_calls)
                return await self._hops[name].predict(raw)
            except (RayServeException, ServiceNotFound):
                self._hops.pop(name, None)
        raise ServiceNotFound(repr(name))

    async def free_memory(self) -> float:
        return await asyncio.to_thread(free_memory)

    async def check_reach(self, definition: ServiceDefinition) -> None:
        labels = definition.effective({}).mllib.resources.labels
        await asyncio.to_thread(check_reach, definition.repository, labels)

    async def place(self, definition: ServiceDefinition) -> Place:
        return await asyncio.to_thread(_place, definition)

    def replicas(self, name: str) -> list[Replica]:
        return []  # they tell the state, and no other process


def _check_place(definition: ServiceDefinition) -> None:
    """Raises BadParameter for a service that is not there yet and can never run here."""
    if is_deployed(app_name(definition.name)):
        return
    found = _place(definition)
    if found.never:
        raise BadParameter(f"the service can never run here: it {found.never}")


def _place(definition: ServiceDefinition) -> Place:
    given = settings()
    return find_place(needs_of_service(definition.effective({}).mllib, given), given)


def _method(name: str) -> Callable[[list[bytes]], Any]:
    """The remote method that answers a service's calls, in its own process or a shared one."""
    try:
        remote = serve.get_app_handle(app_name(name)).predict.remote
    except RayServeException:
        return partial(serve.get_app_handle(SHARED_APP).predict.remote, name)
    return cast(Callable[[list[bytes]], Any], remote)


async def _call(method: Callable[[list[bytes]], Any], raws: list[bytes]) -> list[Rendered]:
    """Answers of a replica."""
    dies = "the service dies of this call or with it, try again"
    answers = await insist(lambda: method(raws), dies=dies)
    return [Rendered(code=code, content=content) for code, content in answers]
