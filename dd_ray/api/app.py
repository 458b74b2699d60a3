"""The ASGI app: routes, the envelope of errors, and the headers of every answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dd_ray.api import info, predict, services, train
from dd_ray.api.docs import docs_routes
from dd_ray.errors import ApiError, BadRequest, InternalError, JobNotFound, NotFound
from dd_ray.services.answer import Answer, Rendered, dumps, render, render_error
from dd_ray.services.server import DeepDetect

logger = logging.getLogger(__name__)

Handler = Callable[[Request, DeepDetect], Awaitable[Answer | Rendered]]

_COMPRESS_FROM = 1024

_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/info", info.info),
    ("PUT", "/services/{name}", services.create),
    ("POST", "/services/{name}", services.create),
    ("GET", "/services/{name}", services.read),
    ("DELETE", "/services/{name}", services.delete),
    ("PUT", "/train", train.start),
    ("POST", "/train", train.start),
    ("GET", "/train", train.status),
    ("DELETE", "/train", train.stop),
    ("POST", "/predict", predict.predict),
]


def build(server: DeepDetect) -> ASGIApp:
    """The app over a server."""
    return Starlette(
        routes=[*_routes(server), *docs_routes()],
        middleware=[
            Middleware(_PlainPath),
            Middleware(GZipMiddleware, minimum_size=_COMPRESS_FROM),
        ],
        exception_handlers={HTTPException: _no_route},  # type: ignore[dict-item]  # its own subclass
    )


def _routes(server: DeepDetect) -> list[Route]:
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in _ROUTES:
        by_path.setdefault(path, {})[method] = handler
    return [
        Route(path, _endpoint(handlers, server), methods=list(handlers))
        for path, handlers in by_path.items()
    ]


def _endpoint(
    handlers: dict[str, Handler], server: DeepDetect
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        try:
            answer = await handler(request, server)
            rendered = render(answer) if isinstance(answer, Answer) else answer
        except ApiError as exc:
            rendered = render_error(exc, head=_head_of_error(exc, request))
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            rendered = render_error(InternalError("the server failed, its log says where"))
        return _response(rendered)

    return endpoint


def _response(rendered: Rendered) -> Response:
    headers = {"Retry-After": "1"} if rendered.code == 503 else None
    return Response(rendered.content, rendered.code, headers=headers, media_type="application/json")


def _head_of_error(error: ApiError, request: Request) -> dict[str, Any] | None:
    """A job that is not found is named in the head, when one was given."""
    job = request.query_params.get("job", "")
    if isinstance(error, JobNotFound) and job.lstrip("+-").isdigit():
        return {"method": "/train", "job": int(job)}
    return None


async def _no_route(request: Request, error: HTTPException) -> Response:
    """What Starlette says of unknown paths (404) and methods (405), in the envelope."""
    if error.status_code == 404:
        return _response(render_error(NotFound()))
    names = {405: "MethodNotAllowed"}
    status = {"code": error.status_code, "msg": names.get(error.status_code, error.detail)}
    return Response(
        dumps({"status": status}),
        error.status_code,
        headers=error.headers,
        media_type="application/json",
    )


class _PlainPath:
    """Takes `//train` and `/train/` for `/train`, without a redirect, which would lose bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or scope["path"].encode()
            try:
                path = unquote_to_bytes(raw.partition(b"?")[0]).decode()
            except UnicodeDecodeError:
                error = render_error(BadRequest("the path is not UTF-8"))
                await _response(error)(scope, receive, send)
                return
            plain = "/" + "/".join(part for part in path.split("/") if part)
            scope = dict(scope, path=plain, raw_path=plain.encode())
        await self._app(scope, receive, send)
