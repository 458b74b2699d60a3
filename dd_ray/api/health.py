"""GET /healthz and GET /readyz: extensions for what looks after servers. No key is asked for."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.services.answer import Answer
from dd_ray.services.server import DeepDetect


async def live(request: Request, server: DeepDetect) -> Answer:
    """Asks nobody: what answers is alive."""
    return Answer()


async def ready(request: Request, server: DeepDetect) -> Answer:
    return await server.readiness()
