"""Serve, the state and the API on the Ray that this process has joined: their start and end."""

from __future__ import annotations

import contextlib
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from dd_ray.cluster.api_app import APP_NAME, api_app
from dd_ray.cluster.applications import deploy_app, service_apps, undeploy_app
from dd_ray.cluster.exposure import is_loopback
from dd_ray.cluster.flags import NAMESPACE, free_port
from dd_ray.cluster.names import SHARED_APP
from dd_ray.cluster.public_port import take
from dd_ray.cluster.ray_start import Ray
from dd_ray.cluster.remote_state import find_state
from dd_ray.cluster.start_error import StartError
from dd_ray.cluster.state_actor import state_actor
from dd_ray.errors import ApiError

logger = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
_POLL_S = 0.02


def start_api(serve_at: tuple[str, int], *, host: str, insecure: bool) -> None:
    """Starts Serve, the state and the API, whose clients call `host`."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # what it does is ours to say
    state = state_actor()  # starts while Serve does
    with ThreadPoolExecutor(1) as elsewhere:
        starting = elsewhere.submit(_start_serve, *serve_at)
        _await_controller(starting)
        _open_state(state)
        try:
            args = {"insecure": insecure, "local": is_loopback(host) and not insecure}
            deploy_app(api_app(args), APP_NAME, route_prefix="/")
        except ApiError as exc:
            raise StartError(f"the API did not start: {exc}") from exc
        starting.result()


def _start_serve(host: str, port: int) -> None:
    """Returns when its proxies listen; raises StartError."""
    try:
        serve.start(
            proxy_location="EveryNode",
            http_options={"host": host, "port": port, "request_timeout_s": None},
        )
    except (TimeoutError, ray.exceptions.RayError) as exc:
        raise StartError(f"Serve did not start, perhaps the machine is too busy: {exc}") from exc


def _await_controller(starting: Future[None]) -> None:
    """Returns when Serve can be told what to run, which is before its proxies listen."""
    while not starting.done():
        with contextlib.suppress(RayServeException):
            _get_global_client()
            return
        time.sleep(_POLL_S)
    starting.result()


def address_behind_edge() -> tuple[str, int]:
    """Where Serve listens on this Ray already, or else a port that only this machine reaches."""
    try:
        options = _get_global_client().http_config
    except RayServeException:
        return _LOOPBACK, free_port()
    return (options.host if is_loopback(options.host) else _LOOPBACK), options.port


def _open_state(actor: Any) -> None:
    """Returns when the state has taken up what its file holds; raises StartError."""
    try:
        ray.get(actor.open.remote())
    except ray.exceptions.RayTaskError as exc:
        raise StartError(f"the state did not start: {exc.cause}") from exc


def check_alone(connected: Ray) -> None:
    """Refuses a Ray that already has a dd-ray."""
    try:
        find_state()
    except ValueError:
        pass
    else:
        raise StartError(
            f"a dd-ray is running on the Ray at {connected.address} already:"
            " stop it first, or start one of its own with --ray-address local"
        )


def check_serve(host: str, port: int) -> None:
    """Serve keeps the port it was first started with on a Ray, also when no dd-ray runs there."""
    try:
        actual = _get_global_client().http_config.port
    except RayServeException:
        take(host, port).close()
        return
    if actual != port:
        raise StartError(
            f"Serve runs on this Ray already and listens on port {actual}:"
            f" use --port {actual}, or end it with `serve shutdown`"
        )


def undeploy_api() -> None:
    """Ends the API: Serve sends it nothing more and waits for the answers under way."""
    try:
        undeploy_app(APP_NAME)
    except (RayServeException, ApiError, ray.exceptions.RayError) as exc:
        logger.warning("the API was not ended: %s", exc)


def undeploy_all() -> None:
    """Ends the api, the services and the state on a Ray that goes on without us.

    Serve stays, which was perhaps there before.
    """
    try:
        undeploy_app(APP_NAME)
        # before the jobs, which it would begin anew; they go on when a server is started again
        ray.kill(find_state(), no_restart=True)
        for actor in ray.util.list_named_actors(all_namespaces=True):
            if actor["namespace"] == NAMESPACE and actor["name"].startswith("job:"):
                ray.kill(ray.get_actor(actor["name"], namespace=NAMESPACE))
        for name in (*service_apps(), SHARED_APP):
            undeploy_app(name)
    except (RayServeException, ApiError, ValueError, ray.exceptions.RayError) as exc:
        logger.warning("not all was ended: %s", exc)
