"""PUT, POST, GET and DELETE /train."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.body import parse_call, read_body, service_of
from dd_ray.api.query import flag, integer, seconds
from dd_ray.errors import BadRequest
from dd_ray.services.answer import Answer
from dd_ray.services.server import DeepDetect

MAX_TIMEOUT_S = 3600.0
"""Longest wait of one GET; a client that wants more asks again."""

DEFAULT_POINTS = 10_000


async def start(request: Request, server: DeepDetect) -> Answer:
    raw = await read_body(request)
    call = parse_call(raw)
    service_of(call)
    return await server.train(call, raw)


async def status(request: Request, server: DeepDetect) -> Answer:
    """A job's status. The history comes when it is asked for, or when its length is."""
    query = request.query_params
    points = integer(query, "parameters.output.max_hist_points")
    wants_history = flag(query, "parameters.output.measure_hist")
    return await server.get_job(
        _service(request),
        integer(query, "job"),
        timeout_s=seconds(query, "timeout", most=MAX_TIMEOUT_S),
        history=wants_history or points is not None,
        max_points=DEFAULT_POINTS if points is None else points,
    )


async def stop(request: Request, server: DeepDetect) -> Answer:
    return await server.stop_job(_service(request), integer(request.query_params, "job"))


def _service(request: Request) -> str:
    service = request.query_params.get("service", "")
    if not service:
        raise BadRequest("service: expected the name of a service, got nothing")
    return service
