"""GET /jobs: an extension that lists all jobs, also those whose final report was given."""

from __future__ import annotations

from starlette.requests import Request

from dd_ray.api.query import integer, query_of
from dd_ray.errors import BadRequest
from dd_ray.services.answer import Answer
from dd_ray.services.server import DeepDetect

DEFAULT_JOBS = 100


async def jobs(request: Request, server: DeepDetect) -> Answer:
    """Of one service or all; also of services that are gone."""
    query = query_of(request)
    most = integer(query, "max")
    if most is not None and most < 1:
        raise BadRequest(f"max: expected 1 or more, got {most}")
    return await server.jobs(query.get("service", ""), most=most or DEFAULT_JOBS)
