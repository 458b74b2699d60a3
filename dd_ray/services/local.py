"""Services and trainings in this process: the ports without a cluster, for tests and tools."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from dd_ray.errors import ApiError, LibraryError, ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.deepdetect import Server
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.pipeline import Pipeline
from dd_ray.services.ports import Point, Work
from dd_ray.services.predict import answer_predict
from dd_ray.services.state import State
from dd_ray.services.stats import Stats
from dd_ray.services.training import train
from dd_ray.settings import Settings


class LocalHost:
    """Holds each service's pipeline."""

    def __init__(self) -> None:
        self.state: State | None = None
        self._pipelines: dict[str, Pipeline] = {}

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        pipeline = self._pipelines.get(definition.name)
        if pipeline is None:
            self._pipelines[definition.name] = await asyncio.to_thread(Pipeline, definition)
        else:
            await asyncio.to_thread(pipeline.reload)

    async def undeploy(self, name: str) -> None:
        self._pipelines.pop(name, None)

    async def predict(self, name: str, raw: bytes) -> Rendered:
        pipeline = self._pipelines.get(name)
        if pipeline is None:
            raise ServiceNotFound(repr(name))
        stats = Stats()
        rendered = await answer_predict(
            pipeline, raw, stats, run=lambda work: asyncio.to_thread(work)
        )
        if self.state is not None:
            await self.state.count(name, stats)
        return rendered


class LocalJobRunner:
    """Trains in threads."""

    def __init__(self) -> None:
        self.state: State | None = None
        self._stops: dict[tuple[str, int], threading.Event] = {}

    async def run(self, work: Work) -> dict[str, Any]:
        key = (work.definition.name, work.job)
        stopped = self._stops[key] = threading.Event()
        loop = asyncio.get_running_loop()

        def report(point: Point) -> None:
            if self.state is not None:
                told = self.state.report(work.definition.name, work.job, [point])
                asyncio.run_coroutine_threadsafe(told, loop).result()

        try:
            return await asyncio.to_thread(
                train, work.definition, work.call, report=report, stopped=stopped.is_set
            )
        except ApiError:
            raise
        except Exception as exc:
            raise LibraryError(f"the training failed: {type(exc).__name__}: {exc}") from exc
        finally:
            del self._stops[key]

    def stop(self, service: str, job: int) -> None:
        event = self._stops.get((service, job))
        if event is not None:
            event.set()


def local_server(settings: Settings | None = None) -> Server:
    """A whole server in this process."""
    host, runner = LocalHost(), LocalJobRunner()
    state = State(host, runner, settings or Settings.from_env({}))
    host.state = runner.state = state
    return Server(state, host)
