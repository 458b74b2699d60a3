"""`dd-ray serve`: from nothing to a listening server, and back to nothing."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import httpx
import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.host import deploy_app, undeploy_app
from dd_ray.cluster.ray_start import LOCAL, Ray, StartError, connect, find, missing_flags
from dd_ray.errors import ApiError

logger = logging.getLogger(__name__)

_READY_S = 30.0
_POLL_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(*, host: str, port: int, ray_address: str, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM; raises StartError when it cannot start."""
    address = find(ray_address)
    if address == LOCAL:
        _check_port(host, port)
    signals = _Signals()
    signals.arm()
    try:
        connected = connect(address)
        signals.arm()
        try:
            if not connected.owned:
                _check_alone(connected)  # what is there already is not ours to end
                _check_serve(host, port)
            try:
                _start(host, port)
                say(f"dd-ray listens on http://{_shown(host)}:{port}")
                signals.stopped.wait()
                say("dd-ray stops")
            finally:
                if not connected.owned:
                    _undeploy_all()
        finally:
            connected.stop()
    finally:
        signals.disarm()


def _start(host: str, port: int) -> None:
    from dd_ray.cluster.api_app import APP_NAME, api_app
    from dd_ray.cluster.state_actor import state_actor

    serve.start(
        proxy_location="EveryNode",
        http_options={"host": host, "port": port, "request_timeout_s": None},
    )
    state_actor()
    try:
        deploy_app(api_app(), APP_NAME, route_prefix="/")
    except ApiError as exc:
        raise StartError(f"the API did not start: {exc}") from exc
    _await_answer(host, port)


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


def _check_serve(host: str, port: int) -> None:
    """Serve keeps the port it was first started with on a Ray, also when no dd-ray runs there."""
    try:
        actual = _get_global_client().http_config.port
    except RayServeException:
        _check_port(host, port)
        return
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


def _await_answer(host: str, port: int) -> None:
    """Waits until the API answers on the public port; raises StartError."""
    target = "127.0.0.1" if host in ("0.0.0.0", "") else _shown(host)  # noqa: S104
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://{target}:{port}/info", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(_POLL_S)
    raise StartError(f"no answer on {host}:{port} after {_READY_S:.0f} s, see Ray's logs")


def _undeploy_all() -> None:
    """Ends the api, the services and the state on a Ray that goes on without us.

    Serve stays, which was perhaps there before.
    """
    from dd_ray.cluster.api_app import APP_NAME
    from dd_ray.cluster.state_actor import state_actor

    try:
        statuses = _get_global_client().list_serve_statuses()
        for name in [status.name for status in statuses]:
            if name == APP_NAME or name.startswith(("s-", "x-")):
                undeploy_app(name)
        for actor in ray.util.list_named_actors(all_namespaces=True):
            if actor["namespace"] == NAMESPACE and actor["name"].startswith("job:"):
                ray.kill(ray.get_actor(actor["name"], namespace=NAMESPACE))
        ray.kill(state_actor(create=False), no_restart=True)
    except (RayServeException, ApiError, ValueError, ray.exceptions.RayError) as exc:
        logger.warning("not all was ended: %s", exc)


class _Signals:
    """Turns SIGINT and SIGTERM into an event instead of an interruption."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def arm(self) -> None:
        """Takes the signals; to be called again after Ray, which takes SIGTERM for itself."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def disarm(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped.set()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
