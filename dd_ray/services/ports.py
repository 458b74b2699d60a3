"""What services need of the outside: where they run, and where trainings run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dd_ray.services.answer import Rendered
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.placement import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process that answers the predict calls of a service."""

    name: str
    problem: str = ""
    """Why it has no model; empty when it can predict."""


class ServiceHost(Protocol):
    """Runs services: in this process for tests, as Serve applications on a cluster."""

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        """Starts a service or, with a higher version, loads its new model without a pause.

        Returns when requests are answered with that version. Raises ApiError.
        """

    async def undeploy(self, name: str) -> None:
        """Ends a service, if there is anything of it; returns when its name is free."""

    async def end_others(self, names: Collection[str]) -> None:
        """Ends all services but those of these names; returns when they have ended."""

    async def predict(self, name: str, raw: bytes) -> Rendered:
        """Answers a predict call; raises ServiceNotFound when no such service is deployed."""

    async def free_memory(self) -> float:
        """Bytes that another service may take."""

    async def check_reach(self, definition: ServiceDefinition) -> None:
        """Raises BadParameter naming the machines that cannot use the service's repository."""

    async def place(self, definition: ServiceDefinition) -> Place:
        """Where a service stands that has no replica yet, or none any more."""

    def replicas(self, name: str) -> list[Replica]:
        """The replicas of a service that have told of themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An attempt at a training."""

    definition: ServiceDefinition
    job: int
    key: str
    """Names the job for ever; its number is given again when a service is made anew."""
    attempt: int
    call: Mapping[str, Any]
    checkpoint_s: float


Point = Mapping[str, Any]
"""One report: the `iteration`, the `last` values, what joins the `history`; see History."""


class TrainingDied(Exception):
    """The process of a training ended without a result; the message says how."""


class JobRunner(Protocol):
    """Carries out trainings outside the services, and outside the process of the state."""

    async def start(self, work: Work) -> None:
        """Starts an attempt, unless it runs already; returns when its process has begun.

        Raises TrainingDied.
        """

    async def runs(self, work: Work) -> bool:
        """Whether there is a process of this attempt, begun or waiting for its place."""

    async def outcome(self, work: Work) -> dict[str, Any]:
        """The body of the final report, once there is one.

        Raises ApiError when the training fails, TrainingDied when its process does.
        """

    def stop(self, work: Work) -> None:
        """Asks a training to save and end; `outcome` returns soon after."""

    async def end(self, work: Work) -> None:
        """Ends what is left of an attempt."""

    async def place(self, definition: ServiceDefinition, call: Mapping[str, Any]) -> Place:
        """Where a training that has not begun stands; raises ApiError for bad parameters."""
