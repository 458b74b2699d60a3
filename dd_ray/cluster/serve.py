"""`dd-ray serve`: from nothing to a listening server, and back to nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import ray

from dd_ray.cluster.exposure import check_key
from dd_ray.cluster.idle_imports import uncollected
from dd_ray.cluster.public_port import await_answer, shown, take
from dd_ray.cluster.ray_start import LOCAL, check_joined, connect, find
from dd_ray.cluster.signals import Signals
from dd_ray.cluster.warm import WORKERS, prestart_workers, warm_all_workers


def run(
    *,
    host: str,
    port: int,
    ray_address: str,
    say: Callable[[str], None],
    insecure: bool = False,
    haproxy: str | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM; raises StartError when it cannot start.

    Unless `insecure`, it refuses what anybody could use who reaches it. `haproxy` is the program
    of the edge; without one, Serve itself listens on the public port.
    """
    if not insecure:
        check_key(host)
    address = find(ray_address)
    with ExitStack() as ending:
        public = ending.enter_context(take(host, port)) if haproxy else None
        if address == LOCAL and not haproxy:
            take(host, port).close()
        signals = Signals()
        signals.arm()
        ending.callback(signals.disarm)
        if address == LOCAL:
            warm_all_workers()
        connected = connect(address, insecure=insecure)
        ending.callback(connected.stop)
        signals.arm()
        if connected.owned:
            _start_workers()
        # Serve takes a second to import, in which Ray's workers start
        with uncollected():
            from dd_ray.cluster import serving

        if connected.owned and not haproxy:
            # an edge would wait for the answers, Serve does not
            ending.callback(serving.undeploy_api)
        if not connected.owned:
            serving.check_alone(connected)  # what is there already is not ours to end
            check_joined(connected.address, insecure=insecure)
            if not haproxy:
                serving.check_serve(host, port)
            ending.callback(serving.undeploy_all)
        serve_at = serving.address_behind_edge() if haproxy else (host, port)
        serving.start_api(serve_at, host=host, insecure=insecure)
        if haproxy and public:
            from dd_ray.cluster.edge.command import start_edge

            edge = start_edge(haproxy, public, serve=serve_at, any_name=insecure)
            ending.callback(edge.close)
        await_answer(host, port)
        say(f"dd-ray listens on http://{shown(host)}:{port}")
        signals.stopped.wait()
        say("dd-ray stops")


def _start_workers() -> None:
    """Those of the server; Ray starts as many by itself as it has CPUs."""
    missing = WORKERS - int(ray.cluster_resources().get("CPU", 0))
    if missing > 0:
        prestart_workers(count=missing)
