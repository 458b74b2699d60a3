"""GET /info."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.query import flag, query_of
from dd_ray.services.answer import Answer
from dd_ray.services.server import DeepDetect


async def info(request: Request, server: DeepDetect) -> Answer:
    return await server.info(status=flag(query_of(request), "status"))
