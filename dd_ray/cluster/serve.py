"""`dd-ray serve`: from nothing to a listening server, and back to nothing."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.host import deploy_app, undeploy_app
from dd_ray.cluster.ray_start import Ray, StartError, connect, missing_flags
from dd_ray.errors import ApiError

logger = logging.getLogger(__name__)


def run(*, host: str, port: int, ray_address: str, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM; raises StartError when it cannot start."""
    _check_port(host, port)
    with _stop_signals() as stopped:
        connected = connect(ray_address)
        try:
            _start(connected, host, port)
            say(f"dd-ray listens on http://{_shown(host)}:{port}")
            stopped.wait()
            say("dd-ray stops")
        finally:
            _stop(connected)


def _start(connected: Ray, host: str, port: int) -> None:
    from dd_ray.cluster.api_app import APP_NAME, api_app
    from dd_ray.cluster.state_actor import state_actor

    if not connected.owned:
        _check_alone(connected)
    serve.start(
        proxy_location="EveryNode",
        http_options={"host": host, "port": port, "request_timeout_s": None},
    )
    _check_serve(port)
    state_actor()
    try:
        deploy_app(api_app(), APP_NAME, route_prefix="/")
    except ApiError as exc:
        raise StartError(f"the API did not start: {exc}") from exc
    _wait_until_listening(host, port)


def _check_alone(connected: Ray) -> None:
    """Refuses a Ray that already has a dd-ray, or that was started without our flags."""
    from dd_ray.cluster.state_actor import state_actor

    try:
        state_actor(create=False)
    except ValueError:
        pass
    else:
        raise StartError(
            f"a dd-ray is running on the Ray at {connected.address} already:"
            " stop it first, or start one of its own with --ray-address local"
        )
    missing = missing_flags()
    if missing:
        raise StartError(
            f"the Ray at {connected.address} was started without the flags that dd-ray needs:"
            " start it again with these in the environment of every node: "
            + " ".join(f"{name}={value}" for name, value in sorted(missing.items()))
        )


def _check_serve(port: int) -> None:
    """Serve keeps the port it was first started with on a Ray."""
    actual = _get_global_client().http_config.port
    if actual != port:
        raise StartError(
            f"Serve runs on this Ray already and listens on port {actual}:"
            f" use --port {actual}, or end it with `serve shutdown`"
        )


def _check_port(host: str, port: int) -> None:
    """Raises StartError when nobody could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise StartError(f"cannot listen on {host}:{port}: {reason.lower()}") from exc
        except OverflowError as exc:
            raise StartError(f"port {port}, expected 1 to 65535") from exc


def _wait_until_listening(host: str, port: int) -> None:
    target = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
    deadline = threading.Event()
    for _ in range(600):
        try:
            with socket.create_connection((target, port), timeout=1):
                return
        except OSError:
            deadline.wait(0.05)
    raise StartError(f"nothing listens on {host}:{port} after 30 s, see Ray's logs")


def _stop(connected: Ray) -> None:
    """Takes away what `run` has put there."""
    if not connected.owned:
        try:
            _undeploy_all()
        except (RayServeException, ApiError, ray.exceptions.RayError) as exc:
            logger.warning("not all was ended: %s", exc)
    connected.stop()


def _undeploy_all() -> None:
    """Ends the api, the services and the state on a Ray that goes on without us."""
    from dd_ray.cluster.api_app import APP_NAME
    from dd_ray.cluster.state_actor import state_actor

    statuses = _get_global_client().list_serve_statuses()
    for name in [status.name for status in statuses]:
        if name == APP_NAME or name.startswith(("s-", "x-")):
            undeploy_app(name)
    for name in [
        actor["name"]
        for actor in ray.util.list_named_actors(all_namespaces=True)
        if actor["namespace"] == NAMESPACE and actor["name"].startswith("job:")
    ]:
        ray.kill(ray.get_actor(name, namespace=NAMESPACE))
    ray.kill(state_actor(create=False), no_restart=True)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; during the start they interrupt it."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            return
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
