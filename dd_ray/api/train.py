"""PUT, POST, GET and DELETE /train."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from dd_ray.api.body import read_call, service_of
from dd_ray.api.query import flag, integer, query_of, seconds
from dd_ray.errors import BadRequest, JobNotFound
from dd_ray.services.answer import Answer, Rendered, render_error
from dd_ray.services.server import DeepDetect

MAX_TIMEOUT_S = 3600.0
"""Longest wait of one GET; a client that wants more asks again."""

DEFAULT_POINTS = 10_000


async def start(request: Request, server: DeepDetect) -> Answer:
    call, raw = await read_call(request)
    service_of(call)
    return await server.train(call, raw)


async def status(request: Request, server: DeepDetect) -> Answer | Rendered:
    """A job's status. The history comes when it is asked for, or when its length is."""
    query = query_of(request)
    service, job = _service(query), integer(query, "job")
    points = integer(query, "parameters.output.max_hist_points")
    wants_history = flag(query, "parameters.output.measure_hist")
    timeout_s = seconds(query, "timeout", most=MAX_TIMEOUT_S)
    try:
        return await server.get_job(
            service,
            job,
            timeout_s=timeout_s,
            history=wants_history or points is not None,
            max_points=DEFAULT_POINTS if points is None else points,
        )
    except JobNotFound as exc:
        return _no_job(exc, job)


async def stop(request: Request, server: DeepDetect) -> Answer | Rendered:
    query = query_of(request)
    service, job = _service(query), integer(query, "job")
    try:
        return await server.stop_job(service, job)
    except JobNotFound as exc:
        return _no_job(exc, job)


def _service(query: Mapping[str, str]) -> str:
    """The service is a name even where it looks like a number or `true`."""
    service = query.get("service", "")
    if not service:
        raise BadRequest("service: expected the name of a service, got nothing")
    return service


def _no_job(error: JobNotFound, job: int | None) -> Rendered:
    """A job that is not found is named in the head, when one was given."""
    return render_error(error, head=None if job is None else {"method": "/train", "job": job})
