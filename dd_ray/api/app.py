"""The ASGI app: which resource answers which path and method."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from dd_ray.api import health, info, jobs, metrics, predict, services, train
from dd_ray.api.auth import EVERYBODY, Access, Guard
from dd_ray.api.cors import CrossOrigin
from dd_ray.api.delivery import Delivery
from dd_ray.api.docs import docs_routes
from dd_ray.api.envelope import refuse, refuse_route, respond
from dd_ray.api.observe import Observe
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
    ("POST", "/predict/{name}", predict.predict_named),
    ("GET", "/jobs", jobs.jobs),
    ("GET", "/metrics", metrics.metrics),
    ("GET", "/healthz", health.live),
    ("HEAD", "/healthz", health.live),
    ("GET", "/readyz", health.ready),
    ("HEAD", "/readyz", health.ready),
]


def build(server: DeepDetect, access: Access = EVERYBODY) -> ASGIApp:
    """The app over a server, for those who may call."""
    routes = frozenset(path for _, path, _ in _ROUTES)
    middleware = [
        Middleware(Observe, routes=routes, tell=server.count_requests),
        Middleware(PlainPaths),
        Middleware(Guard, access=access),
        Middleware(GZipMiddleware, minimum_size=_COMPRESS_FROM, compresslevel=_COMPRESS_LEVEL),
    ]
    if access.origin:  # first: a browser asks without the key, and wants to see refusals
        middleware.insert(1, Middleware(CrossOrigin, origin=access.origin))
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
) -> Callable[[Request], Awaitable[ASGIApp]]:
    async def endpoint(request: Request) -> ASGIApp:
        try:
            answer = await handlers[request.method](request, server)
            if not isinstance(answer, Answer):
                return respond(answer)
            response = respond(render(answer))
            return Delivery(response, answer.delivered) if answer.delivered else response
        except ApiError as exc:
            return refuse(exc)
        except Exception:  # a mistake of ours, in whatever: the client gets an answer all the same
            logger.exception("%s %s failed", request.method, path)
            return refuse(InternalError("the server failed, its log says where"))

    return endpoint
