"""The state as seen from other processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.remote import outcome
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.endpoints import Endpoint
from dd_ray.services.metrics import Sample
from dd_ray.services.ports import Point, Work
from dd_ray.services.records import JobView, PastJob, Readiness, ServiceView
from dd_ray.services.request_counts import Requests
from dd_ray.services.stats import Stats

NAME = "state"


def find_state() -> Any:
    """The handle of the cluster's state actor; raises ValueError when there is none."""
    return ray.get_actor(NAME, namespace=NAMESPACE)


class RemoteState:
    """The methods of State on the actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await outcome(self._actor.call.remote(method, *args, **kwargs))

    async def _once(self, method: str, *args: Any) -> Any:
        """Calls a method that changes something under a name: Ray may send it again."""
        return await self._call(method, *args, request=uuid.uuid4().hex)

    async def check_free(self, name: str) -> None:
        await self._call("check_free", name)

    async def create(self, definition: ServiceDefinition) -> None:
        await self._once("create", definition)

    async def delete(self, name: str, clear: str) -> None:
        await self._once("delete", name, clear)

    async def view(self, name: str) -> ServiceView:
        view: ServiceView = await self._call("view", name)
        return view

    async def views(self) -> list[ServiceView]:
        views: list[ServiceView] = await self._call("views")
        return views

    async def shared(self) -> list[tuple[ServiceDefinition, int]]:
        services: list[tuple[ServiceDefinition, int]] = await self._call("shared")
        return services

    async def names(self, seen: int = -1) -> tuple[int, list[str]]:
        names: tuple[int, list[str]] = await self._call("names", seen)
        return names

    async def submit(self, service: str, call: Mapping[str, Any]) -> int:
        job: int = await self._once("submit", service, call)
        return job

    async def train(self, service: str, call: Mapping[str, Any]) -> JobView:
        view: JobView = await self._once("train", service, call)
        return view

    async def job(self, service: str, job: int, *, timeout_s: float, request: str) -> JobView:
        asked = self._actor.call.remote("job", service, job, timeout_s=timeout_s, request=request)
        try:
            view: JobView = await outcome(asked)
        except asyncio.CancelledError:
            ray.cancel(asked)  # else it would take the report when the job ends
            raise
        return view

    async def confirm(self, service: str, job: int, *, request: str) -> None:
        await self._call("confirm", service, job, request=request)

    async def release(self, service: str, job: int, *, request: str) -> None:
        await self._call("release", service, job, request=request)

    async def stop(self, service: str, job: int) -> float | None:
        elapsed_s: float | None = await self._once("stop", service, job)
        return elapsed_s

    async def past_jobs(self, service: str = "", *, most: int = 100) -> list[PastJob]:
        jobs: list[PastJob] = await self._call("past_jobs", service, most=most)
        return jobs

    async def samples(self) -> list[Sample]:
        samples: list[Sample] = await self._call("samples")
        return samples

    async def count_requests(self, requests: Sequence[Requests]) -> None:
        # not again when the state dies: they may have been counted
        call = self._actor.call.options(max_task_retries=0)
        await outcome(call.remote("count_requests", requests))

    async def readiness(self) -> Readiness:
        readiness: Readiness = await self._call("readiness")
        return readiness

    async def cluster_key(self) -> str:
        key: str = await outcome(self._actor.cluster_key.remote())
        return key

    async def endpoints(self, seen: int = -1) -> tuple[int, list[Endpoint]]:
        """See Endpoints.wait."""
        found: tuple[int, list[Endpoint]] = await outcome(
            self._actor.call_endpoints.remote("wait", seen)
        )
        return found

    def tell_endpoint(self, service: str, replica: str, host: str, port: int, problem: str) -> Any:
        """Says that a replica listens there, and what keeps it from predicting.

        To be said now and then, for no store has the list.
        """
        return self._actor.call_endpoints.remote("register", service, replica, host, port, problem)

    def tell_endpoint_left(self, service: str, replica: str) -> Any:
        """Says that a replica takes no more calls."""
        return self._actor.call_endpoints.remote("unregister", service, replica)

    def tell_worker_taken(self, library: str, node: str) -> Any:
        """Says that a service has begun, perhaps in an idle worker of a node."""
        return self._actor.worker_taken.remote(library, node)

    def tell_count(self, name: str, stats: Stats) -> Any:
        """Sends what a replica has counted; the reference tells when it has arrived."""
        # not again when the state dies: it may have been counted
        return self._actor.call.options(max_task_retries=0).remote("count", name, stats)

    def tell_report(self, work: Work, batch: int, points: Sequence[Point]) -> Any:
        """Sends reports of a training; the reference tells whether more are wanted."""
        return self._actor.call.remote(
            "report", work.definition.name, work.job, work.key, work.attempt, batch, points
        )
