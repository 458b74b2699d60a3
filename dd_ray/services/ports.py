"""What services need of the outside: where they run, and where trainings run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dd_ray.services.answer import Rendered
from dd_ray.services.definition import ServiceDefinition


class ServiceHost(Protocol):
    """Runs services: in this process for tests, as Serve applications on a cluster."""

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        """Starts a service or, with a higher version, loads its new model without a pause.

        Returns when requests are answered with that version. Raises ApiError.
        """

    async def undeploy(self, name: str) -> None:
        """Ends a service; returns when its name is free."""

    async def predict(self, name: str, raw: bytes) -> Rendered:
        """Answers a predict call; raises ServiceNotFound when no such service is deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A training to carry out."""

    definition: ServiceDefinition
    job: int
    call: Mapping[str, Any]


Point = Mapping[str, Any]
"""Values of one report: `iteration` and what is known after it."""


class Reporter(Protocol):
    """Where the reports of a running training go."""

    def __call__(self, service: str, job: int, points: Sequence[Point]) -> None: ...


class JobRunner(Protocol):
    """Carries out trainings outside the services."""

    async def run(self, work: Work) -> dict[str, Any]:
        """The body of the final report; raises ApiError when the training fails."""

    def stop(self, service: str, job: int) -> None:
        """Asks a training to save and end; `run` returns soon after."""
