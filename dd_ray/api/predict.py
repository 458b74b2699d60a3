"""POST /predict, and POST /predict/{name} for those who route by path."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.body import read_call, service_of
from dd_ray.errors import BadRequest
from dd_ray.services.answer import Rendered
from dd_ray.services.names import service_name
from dd_ray.services.server import DeepDetect


async def predict(request: Request, server: DeepDetect) -> Rendered:
    call, raw = await read_call(request)
    return await server.predict(service_of(call), raw)


async def predict_named(request: Request, server: DeepDetect) -> Rendered:
    """The same where the path names the service; a body that names another is refused."""
    name = request.path_params["name"]
    call, raw = await read_call(request)
    if call.get("service") is None:
        return await server.predict(name, raw)
    if service_name(service_of(call)) != service_name(name):
        raise BadRequest(f"service: {call['service']!r:.100}, but the path says {name!r}")
    return await server.predict(name, raw)
