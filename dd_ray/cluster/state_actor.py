"""The state as a detached actor, and the state as seen from other processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.host import RayHost
from dd_ray.cluster.jobs import RayJobRunner
from dd_ray.cluster.remote import outcome
from dd_ray.cluster.warm import prestart_workers
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.ports import Point
from dd_ray.services.state import JobView, ServiceView, State
from dd_ray.services.stats import Stats
from dd_ray.settings import Settings, settings

_NAME = "state"
_IDLE_WORKERS = 2
"""Kept ready on each node: one for the next service, one for the next job."""

_WAITING_CALLS = 10_000
"""Calls that may wait at a time: each GET /train with a timeout is one."""


class StateActor:
    """Runs State in the event loop of an actor."""

    def __init__(self, given: Settings) -> None:
        self._state = State(RayHost(), RayJobRunner(given), given)
        prestart_workers(_IDLE_WORKERS)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of State."""
        return await getattr(self._state, method)(*args, **kwargs)


def state_actor(*, create: bool = True) -> Any:
    """The handle of the cluster's state actor; raises ValueError when there is none."""
    if not create:
        return ray.get_actor(_NAME, namespace=NAMESPACE)
    actor = ray.remote(StateActor).options(
        name=_NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_concurrency=_WAITING_CALLS,
    )
    return actor.remote(settings())


class RemoteState:
    """The methods of State on the actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await outcome(self._actor.call.remote(method, *args, **kwargs))

    async def check_free(self, name: str) -> None:
        await self._call("check_free", name)

    async def create(self, definition: ServiceDefinition) -> None:
        await self._call("create", definition)

    async def delete(self, name: str, clear: str) -> None:
        await self._call("delete", name, clear)

    async def view(self, name: str) -> ServiceView:
        view: ServiceView = await self._call("view", name)
        return view

    async def views(self) -> list[ServiceView]:
        views: list[ServiceView] = await self._call("views")
        return views

    async def names(self, seen: int = -1) -> tuple[int, list[str]]:
        names: tuple[int, list[str]] = await self._call("names", seen)
        return names

    async def submit(self, service: str, call: Mapping[str, Any]) -> int:
        job: int = await self._call("submit", service, call)
        return job

    async def train(self, service: str, call: Mapping[str, Any]) -> JobView:
        view: JobView = await self._call("train", service, call)
        return view

    async def job(self, service: str, job: int, *, timeout_s: float) -> JobView:
        view: JobView = await self._call("job", service, job, timeout_s=timeout_s)
        return view

    async def stop(self, service: str, job: int) -> JobView | None:
        view: JobView | None = await self._call("stop", service, job)
        return view

    def tell_count(self, name: str, stats: Stats) -> Any:
        """Sends what a replica has counted; the reference tells when it has arrived."""
        return self._actor.call.remote("count", name, stats)

    def tell_report(self, service: str, job: int, points: Sequence[Point]) -> Any:
        """Sends reports of a training; the reference tells when they have arrived."""
        return self._actor.call.remote("report", service, job, points)
