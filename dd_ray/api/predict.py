"""POST /predict."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.body import parse_call, read_body, service_of
from dd_ray.services.answer import Rendered
from dd_ray.services.server import DeepDetect


async def predict(request: Request, server: DeepDetect) -> Rendered:
    raw = await read_body(request)
    return await server.predict(service_of(parse_call(raw)), raw)
