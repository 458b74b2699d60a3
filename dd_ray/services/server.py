"""All that the API can do, without HTTP and without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dd_ray.services.answer import Answer, Rendered
from dd_ray.services.request_counts import Requests


class DeepDetect(Protocol):
    """The server behind the REST resources. Every method raises ApiError.

    `call` is the parsed JSON object of the body; names are as the client wrote them (the
    implementation lower-cases them).
    """

    async def info(self, *, status: bool) -> Answer: ...

    async def check_free(self, name: str) -> None:
        """Raises ServiceExists when the name is taken."""

    async def create_service(self, name: str, call: Mapping[str, Any], raw: bytes) -> Answer: ...

    async def get_service(self, name: str) -> Answer: ...

    async def delete_service(self, name: str, *, clear: str) -> Answer: ...

    async def train(self, call: Mapping[str, Any], raw: bytes) -> Answer: ...

    async def get_job(
        self, service: str, job: int | None, *, timeout_s: float, history: bool, max_points: int
    ) -> Answer: ...

    async def stop_job(self, service: str, job: int | None) -> Answer: ...

    async def predict(self, service: str, raw: bytes) -> Rendered: ...

    async def jobs(self, service: str, *, most: int) -> Answer:
        """The newest jobs of a service, or of all for an empty name, also those of the past."""

    async def metrics(self) -> Rendered:
        """What the server measures of itself, in the text format of Prometheus."""

    async def count_requests(self, requests: Sequence[Requests]) -> None:
        """Takes what an API has counted of its requests."""

    async def readiness(self) -> Answer:
        """How services stand; 503 with what is missing while the server is not ready."""
