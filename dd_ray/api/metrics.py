"""GET /metrics: an extension for Prometheus, which sends the key as its bearer token."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.services.answer import Rendered
from dd_ray.services.server import DeepDetect


async def metrics(request: Request, server: DeepDetect) -> Rendered:
    return await server.metrics()
