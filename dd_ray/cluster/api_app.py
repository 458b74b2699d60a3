"""The REST resources as a Serve application."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray import serve

from dd_ray.api.auth import Access
from dd_ray.cluster.host import RayHost
from dd_ray.cluster.log_flags import serve_logging
from dd_ray.cluster.remote_state import RemoteState, find_state
from dd_ray.cluster.resources import ON_HEAD
from dd_ray.errors import ServiceNotFound, Unavailable
from dd_ray.logs import set_up
from dd_ray.services.answer import Rendered
from dd_ray.services.deepdetect import Server
from dd_ray.services.tickets import took_too_long
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

APP_NAME = "dd-ray-api"


class KnownServices:
    """Which services there are, kept up to date by the state, so that a predict asks nobody."""

    def __init__(self, state: RemoteState) -> None:
        self._state = state
        self._seen = -1
        self._names: frozenset[str] = frozenset()
        self._watching: asyncio.Task[None] | None = None

    async def check(self, name: str) -> None:
        """Raises ServiceNotFound; asks the state itself before it says so."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        if name not in self._names:
            self._take(*await self._state.names())
            if name not in self._names:
                raise ServiceNotFound(repr(name))

    def _take(self, seen: int, names: list[str]) -> None:
        if seen >= self._seen:
            self._seen, self._names = seen, frozenset(names)

    async def _watch(self) -> None:
        while True:
            try:
                self._take(*await self._state.names(self._seen))
            except Exception:
                logger.warning("the state does not answer, asking again", exc_info=True)
                await asyncio.sleep(1)


class ApiHost(RayHost):
    """Calls services, and knows why one that there is cannot be called."""

    def __init__(self, known: KnownServices, state: RemoteState) -> None:
        super().__init__()
        self._known = known
        self._state = state

    async def predict(self, name: str, raw: bytes) -> Rendered:
        await self._known.check(name)
        limit_s = settings().predict_timeout_s
        try:
            return await asyncio.wait_for(super().predict(name, raw), limit_s or None)
        except TimeoutError as exc:
            raise took_too_long(limit_s) from exc
        except ServiceNotFound as exc:  # not deployed: it was deleted just now, or is coming back
            view = await self._state.view(name)
            raise Unavailable(view.problem or "the service is being started") from exc


def build_asgi(access: Access) -> Any:
    """The ASGI app of a replica."""
    from dd_ray.api.app import build  # half a second, not needed where it is deployed from

    set_up(settings())
    state = RemoteState(_state())
    return build(Server(state, ApiHost(KnownServices(state), state)), access)


def _state() -> Any:
    try:
        return find_state()
    except ValueError:  # deployed by `serve deploy`
        from dd_ray.cluster.state_actor import state_actor

        return state_actor()


def api_app(args: dict[str, Any] | None = None) -> serve.Application:
    """The application to deploy, also from a Serve config file; `args` are those of the file.

    The replicas ask for the key that this process has. `local: true` says that they listen on
    loopback, `insecure: true` that they may run without a key wherever they listen.
    """
    access = _access(args or {})

    def build_here() -> Any:  # Serve takes a function without arguments
        return build_asgi(access)

    ingress = serve.ingress(build_here)()
    deployment = serve.deployment(ingress).options(
        name="api",
        num_replicas=1,
        max_ongoing_requests=10_000,
        graceful_shutdown_timeout_s=settings().drain_s,
        graceful_shutdown_wait_loop_s=0.1,
        logging_config=serve_logging(settings()),
        ray_actor_options=dict(ON_HEAD),
    )
    return deployment.bind()


def _access(args: dict[str, Any]) -> Access:
    given = settings()
    if not (given.api_key or args.get("local") or args.get("insecure")):
        raise ValueError(
            "DD_RAY_API_KEY is not set: set it in the environment of every node, or give this"
            " application `args: {insecure: true}`"
        )
    return Access(key=given.api_key, origin=given.allow_origin, local_names=bool(args.get("local")))
