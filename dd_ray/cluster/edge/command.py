"""Edges of a cluster: the one of `dd-ray serve`, and `dd-ray edge`, which is an edge alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import ray
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from dd_ray.cluster.edge.edge import Edge, EdgeThread
from dd_ray.cluster.edge.haproxy import DidNotStart
from dd_ray.cluster.exposure import check_key
from dd_ray.cluster.public_port import await_answer, shown, take
from dd_ray.cluster.ray_start import LOCAL, check_joined, connect, find
from dd_ray.cluster.remote_state import RemoteState, find_state
from dd_ray.cluster.signals import Signals
from dd_ray.cluster.start_error import StartError
from dd_ray.settings import settings

_START_S = 60.0
_LOOK_EVERY_S = 0.5

_ANY = ("0.0.0.0", "::", "")  # noqa: S104


def run(
    *,
    haproxy: str,
    host: str,
    port: int,
    ray_address: str,
    say: Callable[[str], None],
    insecure: bool = False,
) -> None:
    """An edge in front of a dd-ray that runs, until SIGINT or SIGTERM; raises StartError."""
    if not insecure:
        check_key(host)
    address = find(ray_address)
    if address == LOCAL:
        raise StartError("no Ray runs here: --ray-address says where, as 10.0.0.1:6379")
    signals = Signals()
    signals.arm()
    with ExitStack() as ending:
        ending.callback(signals.disarm)
        listening = ending.enter_context(take(host, port))
        connected = connect(address, insecure=insecure)
        ending.callback(connected.stop)
        signals.arm()
        check_joined(connected.address, insecure=insecure)
        _await_server(signals.stopped, say)
        if signals.stopped.is_set():
            return
        edge = start_edge(haproxy, listening, serve=_serve(address), any_name=insecure)
        ending.callback(edge.close)
        await_answer(host, port)
        say(f"the edge of the dd-ray at {address} listens on http://{shown(host)}:{port}")
        signals.stopped.wait()
        say("the edge stops")


def _await_server(stopped: threading.Event, say: Callable[[str], None]) -> None:
    """Returns when a dd-ray starts on this Ray, or after a while; `serve deploy` waits for none."""
    deadline = time.monotonic() + _START_S
    said = False
    while not stopped.is_set() and time.monotonic() < deadline:
        try:
            _get_global_client()
            find_state()
        except (RayServeException, ValueError):
            if not said:
                say("waiting for a dd-ray on this Ray")
                said = True
            stopped.wait(_LOOK_EVERY_S)
        else:
            return


def start_edge(
    haproxy: str, listening: socket.socket, *, serve: tuple[str, int], any_name: bool
) -> EdgeThread:
    """An edge that answers on a port in front of Ray Serve. Raises StartError."""
    given = settings()
    try:
        state = find_state()
    except ValueError as exc:
        raise StartError("no dd-ray runs on this Ray: `dd-ray serve` starts one") from exc
    edge = EdgeThread(
        Edge(
            program=haproxy,
            listening=listening,
            serve=f"{shown(serve[0])}:{serve[1]}",
            key=ray.get(state.cluster_key.remote()),
            caller=f"Bearer {given.api_key}" if given.api_key else "",
            any_name=any_name or bool(given.api_key),
            slots=given.edge_slots,
            threads=given.edge_threads,
            drain_s=given.drain_s,
            endpoints=RemoteState(state).endpoints,
        )
    )
    try:
        edge.start()
    except DidNotStart as exc:
        raise StartError(f"the edge did not start: {exc}") from exc
    return edge


def _serve(ray_address: str) -> tuple[str, int]:
    """Where Ray Serve is reached from this machine: here, or on the head if it listens to all."""
    try:
        options = _get_global_client().http_config
    except RayServeException as exc:
        raise StartError("Ray Serve does not run on this Ray") from exc
    if options.host in _ANY:
        return ray_address.rpartition(":")[0].strip("[]"), options.port
    return options.host, options.port
