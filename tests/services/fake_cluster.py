"""A cluster of nothing but names, on which a state can die and come back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any

from dd_ray.errors import ApiError, LibraryError
from dd_ray.services.answer import Rendered
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.placement import Place
from dd_ray.services.ports import Replica, TrainingDied, Work
from dd_ray.services.state import State
from dd_ray.services.store import Store
from dd_ray.settings import Settings

WAIT_S = 20


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """An asynchronous test as an ordinary one."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), WAIT_S))

    return run


class Process:
    """An attempt at a training. Its test decides what becomes of it.

    One that has its result is alive until it was asked for it.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.alive = True
        self.stopped = asyncio.Event()
        self._outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def finish(self, **measure: float) -> None:
        self._outcome.set_result({"measure": measure})

    def fail(self, error: ApiError) -> None:
        self._outcome.set_exception(error)

    def die(self, how: str = "it was killed") -> None:
        self.alive = False
        if not self._outcome.done():
            self._outcome.set_exception(TrainingDied(how))
            self._outcome.exception()

    async def outcome(self) -> dict[str, Any]:
        return await asyncio.shield(self._outcome)


class Cluster:
    """What goes on while states come and go: services, processes, clock, files."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.repository = home / "repository"
        self.repository.mkdir()
        self.settings = Settings.from_env({}).model_copy(update=settings)
        self.now = 1000.0
        self.services: dict[str, int] = {}
        """The versions that are deployed."""
        self.broken: set[str] = set()
        """Services that cannot be deployed."""
        self.without_model: dict[str, str] = {}
        """Why services that are deployed have no model."""
        self.cannot_list = False
        """Whether what is deployed cannot be told."""
        self.deploying = asyncio.Event()
        self.deploying.set()
        self.processes: list[Process] = []
        self.another = asyncio.Condition()
        self.room = Place()
        """Of trainings."""
        self.service_room = Place()
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self._before: set[asyncio.Task[Any]] = set()
        self._state: State | None = None
        self._store: Store | None = None
        self._runner: Runner | None = None

    async def start(self) -> State:
        """A state on the cluster's home; the one before it dies."""
        self.kill()
        self._before = asyncio.all_tasks()
        self._store = Store(self.home)
        self._runner = Runner(self)
        self._state = State(
            Host(self), self._runner, self.settings, self._store, clock=lambda: self.now
        )
        await self._state.restore()
        return self._state

    def kill(self) -> None:
        """Ends the state where it stands; processes and services go on."""
        if self._state is None or self._store is None or self._runner is None:
            return
        self._runner.dead = True
        for task in asyncio.all_tasks() - self._before:
            task.cancel()  # also the calls that wait for its answer
        self._store.close()
        self._state = None

    def power_off(self) -> None:
        """Ends everything."""
        self.kill()
        self.services.clear()
        for process in self.processes:
            process.die()

    async def until(self, claim: Callable[[], Awaitable[bool]]) -> None:
        """Waits until something is so that nobody tells of."""
        for _ in range(10_000):
            if await claim():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it did not become so")

    async def process(self, number: int) -> Process:
        """The process that was started as the `number`-th, once it is there."""
        async with self.another:
            await self.another.wait_for(lambda: len(self.processes) >= number)
        return self.processes[number - 1]

    def definition(self, name: str = "s") -> ServiceDefinition:
        return ServiceDefinition(
            name=name,
            mllib="xgboost",
            connector="csv",
            type="supervised",
            description="d",
            repository=str(self.repository),
            parameters={"input": {"connector": "csv"}, "mllib": {"nclasses": 2}},
        )


class Host:
    """See ServiceHost."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        await self._cluster.deploying.wait()
        if definition.name in self._cluster.broken:
            raise LibraryError("no such disk")
        self._cluster.services[definition.name] = version

    async def undeploy(self, name: str) -> None:
        self._cluster.services.pop(name, None)

    async def end_others(self, names: Collection[str]) -> None:
        if self._cluster.cannot_list:
            raise RuntimeError("Serve is not there")
        for name in self._cluster.services.keys() - set(names):
            await self.undeploy(name)

    async def predict(self, name: str, raw: bytes) -> Rendered:
        raise AssertionError("nothing is predicted here")

    async def place(self, definition: ServiceDefinition) -> Place:
        return self._cluster.service_room

    def replicas(self, name: str) -> list[Replica]:
        if name not in self._cluster.services:
            return []
        return [Replica(name=f"{name}#1", problem=self._cluster.without_model.get(name, ""))]


class Runner:
    """See JobRunner."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.dead = False

    def _find(self, work: Work) -> Process | None:
        for process in self._cluster.processes:
            if (process.work.key, process.work.attempt) == (work.key, work.attempt):
                return process
        return None

    async def start(self, work: Work) -> None:
        await self._cluster.may_begin.wait()
        if self._find(work) is None:
            async with self._cluster.another:
                self._cluster.processes.append(Process(work))
                self._cluster.another.notify_all()

    async def runs(self, work: Work) -> bool:
        process = self._find(work)
        return process is not None and process.alive

    async def outcome(self, work: Work) -> dict[str, Any]:
        process = self._find(work)
        assert process is not None
        return await process.outcome()

    def stop(self, work: Work) -> None:
        process = self._find(work)
        if process is not None:
            process.stopped.set()

    async def end(self, work: Work) -> None:
        process = self._find(work)
        if process is not None and not self.dead:
            process.die()

    async def place(self, definition: ServiceDefinition, call: Mapping[str, Any]) -> Place:
        definition.effective(call.get("parameters"))
        return self._cluster.room
