"""PUT, POST, GET and DELETE /services/{name}."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.body import read_call
from dd_ray.api.query import query_of
from dd_ray.services.answer import Answer
from dd_ray.services.server import DeepDetect


async def create(request: Request, server: DeepDetect) -> Answer:
    """Creates a service; POST is the same as PUT and never an update."""
    name = request.path_params["name"]
    await server.check_free(name)  # before the body is looked at, as DeepDetect does
    call, raw = await read_call(request)
    return await server.create_service(name, call, raw)


async def read(request: Request, server: DeepDetect) -> Answer:
    return await server.get_service(request.path_params["name"])


async def delete(request: Request, server: DeepDetect) -> Answer:
    """Ends a service. Only the query says what to clear: a client sends a body that does not."""
    clear = query_of(request).get("clear", "")
    return await server.delete_service(request.path_params["name"], clear=clear)
