"""The environment that Ray's processes must have before they start."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Mapping

NAMESPACE = "dd-ray"
"""Ray namespace of the state actor and the job actors."""

AHEAD = "DD_RAY_IMPORT_AHEAD"
"""Variable of a worker: the modules that it imports before it has anything to do."""

LATER = "DD_RAY_IMPORT_LATER"
"""Variable of a worker: those that it imports when it is still idle after that."""

_FLAGS = {
    # measured in the design: 3,900 instead of 140 requests a second at 32 connections
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # the default of 30 s is how long a deleted service, or a stopped server, would linger
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.2",
    # the default of 5 s is less than it takes to start on a busy machine: it is killed then, and
    # starts again, as busy
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    # a blocking training call may take days
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "1209600",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "1209600",
    # Ray would run services and trainings at niceness 15, behind whatever else the machine does
    "RAY_worker_niceness": "0",
    "RAY_preload_python_modules": "dd_ray.cluster.preload",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    # else a Ray runs the code of whoever reaches its ports
    "RAY_AUTH_MODE": "token",
}

_OWN_PORTS = ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT")
"""Ports that have a fixed default, on which a second Ray of the machine would fail."""

_FREE_PORTS = range(20000, 30000)


def serve_flags(env: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of `env`; what the operator has set stays."""
    flags = {name: value for name, value in _FLAGS.items() if name not in env}
    ports = {name: str(free_port()) for name in _OWN_PORTS if name not in env}
    return flags | ports


def set_serve_flags(*, haproxy: bool = True) -> None:
    """Sets the flags in this process, whose children inherit them.

    Without `haproxy`, Serve uses a proxy of its own, in Python.
    """
    if not haproxy:
        os.environ.setdefault("RAY_SERVE_ENABLE_HA_PROXY", "0")
    os.environ.update(serve_flags(os.environ))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment.

    From a range that neither the system nor Serve takes ports from, so that Ray does not get it
    while it starts.
    """
    ports = list(_FREE_PORTS)
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {_FREE_PORTS.start} to {_FREE_PORTS.stop - 1} is free")


def short_temporary_folder() -> str:
    """A folder whose path leaves room for Ray's socket names (107 bytes at most)."""
    return tempfile.mkdtemp(prefix="ddr-", dir="/tmp")
