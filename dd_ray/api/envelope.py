"""Answers and errors as HTTP responses."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dd_ray.errors import ApiError, NotFound
from dd_ray.guard.key import CHALLENGE
from dd_ray.services.answer import Rendered, dumps, render_error

_HEADERS = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": CHALLENGE}}


def respond(rendered: Rendered) -> Response:
    """The response of an answer: JSON, also where a template made something else of it."""
    headers = _HEADERS.get(rendered.code)
    return Response(
        rendered.content, rendered.code, headers=headers, media_type=rendered.media_type
    )


def refuse(error: ApiError) -> Response:
    """The response of an error."""
    return respond(render_error(error))


async def refuse_route(request: Request, error: Exception) -> Response:
    """The response of Starlette's own errors: unknown paths (404) and methods (405)."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return refuse(NotFound())
    msg = {405: "MethodNotAllowed"}.get(error.status_code, error.detail)
    content = dumps({"status": {"code": error.status_code, "msg": msg}})
    return Response(content, error.status_code, error.headers, "application/json")
