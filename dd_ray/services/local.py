"""Services and trainings in this process: the ports without a cluster, for tests and tools."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

import psutil

from dd_ray.errors import ApiError, LibraryError, ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.batching import Batcher
from dd_ray.services.deepdetect import Server
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.pipeline import Pipeline
from dd_ray.services.placement import Place
from dd_ray.services.ports import Point, Replica, Work
from dd_ray.services.state import State
from dd_ray.services.stats import Stats
from dd_ray.services.store import Store
from dd_ray.services.tickets import Limits
from dd_ray.services.training import train
from dd_ray.settings import Settings


class LocalHost:
    """Holds the pipeline of each service, with what answers its calls."""

    def __init__(self) -> None:
        self.state: State | None = None
        self._services: dict[str, tuple[Pipeline, Batcher, Stats]] = {}

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        known = self._services.get(definition.name)
        if known is not None:
            await asyncio.to_thread(known[0].reload)
            return
        pipeline, stats = await asyncio.to_thread(Pipeline, definition), Stats()
        batcher = Batcher(pipeline, stats, limits=Limits())
        self._services[definition.name] = pipeline, batcher, stats

    async def undeploy(self, name: str) -> None:
        if name in self._services:
            _, batcher, _ = self._services.pop(name)
            batcher.close()

    async def end_others(self, names: Collection[str]) -> None:
        for name in self._services.keys() - set(names):
            await self.undeploy(name)

    async def predict(self, name: str, raw: bytes) -> Rendered:
        if name not in self._services:
            raise ServiceNotFound(repr(name))
        _, batcher, stats = self._services[name]
        rendered = await batcher.predict(raw, name)
        if self.state is not None:
            await self.state.count(name, stats.take())
        return rendered

    async def free_memory(self) -> float:
        return float(psutil.virtual_memory().available)

    async def check_reach(self, definition: ServiceDefinition) -> None:
        return None

    async def place(self, definition: ServiceDefinition) -> Place:
        return Place()

    def replicas(self, name: str) -> list[Replica]:
        if name not in self._services:
            return []
        return [Replica(name=name, problem=self._services[name][0].problem)]


class LocalJobRunner:
    """Trains in threads."""

    def __init__(self) -> None:
        self.state: State | None = None
        self._running: dict[str, tuple[threading.Event, asyncio.Task[dict[str, Any]]]] = {}

    async def start(self, work: Work) -> None:
        stopped = threading.Event()
        self._running[work.key] = stopped, asyncio.create_task(self._train(work, stopped))

    async def runs(self, work: Work) -> bool:
        return work.key in self._running

    async def outcome(self, work: Work) -> dict[str, Any]:
        return await self._running[work.key][1]

    def stop(self, work: Work) -> None:
        if work.key in self._running:
            self._running[work.key][0].set()

    async def end(self, work: Work) -> None:
        self._running.pop(work.key, None)

    async def place(self, definition: ServiceDefinition, call: Mapping[str, Any]) -> Place:
        return Place()

    async def _train(self, work: Work, stopped: threading.Event) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        batches = count()

        def report(point: Point) -> None:
            if self.state is None:
                return
            told = self.state.report(
                work.definition.name, work.job, work.key, work.attempt, next(batches), [point]
            )
            asyncio.run_coroutine_threadsafe(told, loop).result()

        try:
            return await asyncio.to_thread(train, work, report=report, stopped=stopped.is_set)
        except ApiError:
            raise
        except Exception as exc:
            raise LibraryError(f"the training failed: {type(exc).__name__}: {exc}") from exc
        finally:
            stopped.set()  # if this was cancelled, which its thread cannot be


def local_server(settings: Settings | None = None) -> Server:
    """A whole server in this process, which forgets everything with it."""
    host, runner = LocalHost(), LocalJobRunner()
    state = State(host, runner, settings or Settings.from_env({}), Store(None))
    host.state = runner.state = state
    return Server(state, host)
