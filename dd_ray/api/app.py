"""The ASGI app: which resource answers which path and method."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dd_ray.api import info, predict, services, train
from dd_ray.api.cors import CrossOrigin
from dd_ray.api.docs import docs_routes
from dd_ray.api.envelope import refuse, refuse_route, respond
from dd_ray.api.paths import PlainPaths
from dd_ray.errors import ApiError, InternalError
from dd_ray.services.answer import Answer, Rendered, render
from dd_ray.services.server import DeepDetect

logger = logging.getLogger(__name__)

Handler = Callable[[Request, DeepDetect], Awaitable[Answer | Rendered]]

_COMPRESS_FROM = 1024
_COMPRESS_LEVEL = 1  # predictions: a fifth more bytes than at level 9, seven times as fast

_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/info", info.info),
    ("HEAD", "/info", info.info),
    ("PUT", "/services/{name}", services.create),
    ("POST", "/services/{name}", services.create),
    ("GET", "/services/{name}", services.read),
    ("HEAD", "/services/{name}", services.read),
    ("DELETE", "/services/{name}", services.delete),
    ("PUT", "/train", train.start),
    ("POST", "/train", train.start),
    ("GET", "/train", train.status),  # no HEAD: it would take the final report and not show it
    ("DELETE", "/train", train.stop),
    ("POST", "/predict", predict.predict),
]


def build(server: DeepDetect, *, allow_origin: str = "") -> ASGIApp:
    """The app over a server. Browsers at `allow_origin`, when given, may call it."""
    middleware = [
        Middleware(PlainPaths),
        Middleware(GZipMiddleware, minimum_size=_COMPRESS_FROM, compresslevel=_COMPRESS_LEVEL),
    ]
    if allow_origin:
        middleware.insert(0, Middleware(CrossOrigin, origin=allow_origin))
    return Starlette(
        routes=[*_routes(server), *docs_routes()],
        middleware=middleware,
        exception_handlers={HTTPException: refuse_route},
    )


def _routes(server: DeepDetect) -> list[Route]:
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in _ROUTES:
        by_path.setdefault(path, {})[method] = handler
    routes = []
    for path, handlers in by_path.items():
        route = Route(path, _endpoint(path, handlers, server), methods=list(handlers))
        route.methods = set(handlers)  # Starlette adds HEAD wherever there is GET
        routes.append(route)
    return routes


def _endpoint(
    path: str, handlers: dict[str, Handler], server: DeepDetect
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            answer = await handlers[request.method](request, server)
            return respond(render(answer) if isinstance(answer, Answer) else answer)
        except ApiError as exc:
            return refuse(exc)
        except Exception:  # a mistake of ours, in whatever: the client gets an answer all the same
            logger.exception("%s %s failed", request.method, path)
            return refuse(InternalError("the server failed, its log says where"))

    return endpoint
