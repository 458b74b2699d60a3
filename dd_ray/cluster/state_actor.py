"""The state as a detached actor."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

import ray

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.host import RayHost
from dd_ray.cluster.jobs import RayJobRunner
from dd_ray.cluster.metrics import RayMetrics
from dd_ray.cluster.remote_state import NAME
from dd_ray.cluster.resources import ON_HEAD
from dd_ray.cluster.warm import Replacing, prestart_workers
from dd_ray.errors import ApiError, Unavailable
from dd_ray.logs import set_up
from dd_ray.services.endpoints import Endpoints
from dd_ray.services.ports import Replica
from dd_ray.services.state import State
from dd_ray.services.store import HomeInUse, Store
from dd_ray.settings import Settings, settings

logger = logging.getLogger(__name__)

_OPEN_S = 10.0
_EXPORT_EVERY_S = 1.0
_OPEN_AGAIN_S = 0.5

_WAITING_CALLS = 10_000
"""Calls that may wait at a time: each GET /train with a timeout is one."""


class StateActor:
    """Runs State in the event loop of an actor, on what its file holds, and Endpoints beside it."""

    def __init__(self, given: Settings, key: str) -> None:
        set_up(given)
        self._given = given
        self._key = key
        self._endpoints = Endpoints(version=time.time_ns())
        self._problem = "the state is being read"
        self._state: State | None = None
        self._opening = asyncio.create_task(self._open())
        # a state that died has left its idle workers behind
        self._warm = ray.get_runtime_context().was_current_actor_reconstructed
        self._warming: asyncio.Task[None] | None = None
        self._replacing = Replacing()

    async def open(self) -> None:
        """Returns when calls are answered; raises Unavailable while its file cannot be used."""
        if self._state is None:
            try:
                await asyncio.wait_for(asyncio.shield(self._opening), _OPEN_S)
            except TimeoutError as exc:
                raise Unavailable(self._problem) from exc

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of State; raises Unavailable while its file cannot be used.

        The first call comes from the API: until then the CPUs are left to its start.
        """
        await self.open()
        if not self._warm:
            self._warm = True
            self._warming = asyncio.create_task(asyncio.to_thread(_warm_up, self._given.warm))
        return await getattr(self._state, method)(*args, **kwargs)

    async def call_endpoints(self, method: str, *args: Any) -> Any:
        """Calls a method of Endpoints."""
        return await getattr(self._endpoints, method)(*args)

    async def worker_taken(self, library: str, node: str) -> None:
        """Says that a service has begun, perhaps in an idle worker of a node."""
        self._replacing.begin(library, node, busy=True)

    async def cluster_key(self) -> str:
        """What the edge and the replicas know each other by; the same in all lives of the actor."""
        return self._key

    async def _open(self) -> None:
        """Tries until it succeeds: who holds the file may be ending."""
        store = None
        while store is None:
            try:
                store = Store(self._given.home)
            except (HomeInUse, ApiError, OSError) as exc:
                self._problem = str(exc)
                await asyncio.sleep(_OPEN_AGAIN_S)
        jobs = RayJobRunner(self._given, replace=self._replacing.begin)
        state = State(_Host(self._endpoints), jobs, self._given, store)
        await state.restore()
        self._state = state
        self._exporting = asyncio.create_task(_export(state))


def _warm_up(libraries: Sequence[str]) -> None:
    for library in ("", *libraries):
        prestart_workers(library)


async def _export(state: State) -> None:
    """Tells Ray what there is to measure, for ever."""
    metrics = RayMetrics()
    while True:
        await asyncio.sleep(_EXPORT_EVERY_S)
        try:
            found = await state.samples()
            await asyncio.to_thread(metrics.export, found)
        except Exception:  # numbers are missing then, and nothing else
            logger.warning("no metrics were exported", exc_info=True)


class _Host(RayHost):
    """Knows the endpoints: those of a service that ends go, so that no edge calls it any more."""

    def __init__(self, endpoints: Endpoints) -> None:
        super().__init__()
        self._endpoints = endpoints

    async def undeploy(self, name: str) -> None:
        await self._endpoints.forget(name)
        await super().undeploy(name)

    def replicas(self, name: str) -> list[Replica]:
        return self._endpoints.replicas(name)


def state_actor() -> Any:
    """The handle of the cluster's state actor, which is started where there is none.

    It runs on the head, whose disk has its file. When it dies, calls under way are sent again to
    the one that Ray starts in its place.
    """
    actor = ray.remote(StateActor).options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        **ON_HEAD,
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=_WAITING_CALLS,
    )
    return actor.remote(settings(), secrets.token_urlsafe(32))
