"""POST /predict."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.body import read_call, service_of
from dd_ray.services.answer import Rendered
from dd_ray.services.server import DeepDetect


async def predict(request: Request, server: DeepDetect) -> Rendered:
    call, raw = await read_call(request)
    return await server.predict(service_of(call), raw)
