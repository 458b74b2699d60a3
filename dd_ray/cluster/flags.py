"""The environment that Ray's processes must have before they start."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping

NAMESPACE = "dd-ray"
"""Ray namespace of the state actor and the job actors."""

_FLAGS = {
    # measured in the design: 3,900 instead of 140 requests a second at 32 connections
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # the default of 30 s is how long a deleted service, or a stopped server, would linger
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.2",
    # a blocking training call may take days
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "1209600",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "1209600",
    # Ray would run services and trainings at niceness 15, behind whatever else the machine does
    "RAY_worker_niceness": "0",
    "RAY_preload_python_modules": "dd_ray.cluster.preload",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
}

_OWN_PORTS = ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT")
"""Ports that have a fixed default, on which a second Ray of the machine would fail."""


def serve_flags(env: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of `env`; what the operator has set stays."""
    flags = {name: value for name, value in _FLAGS.items() if name not in env}
    ports = {name: str(free_port()) for name in _OWN_PORTS if name not in env}
    return flags | ports


def set_serve_flags() -> None:
    """Sets the flags in this process, whose children inherit them."""
    os.environ.update(serve_flags(os.environ))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def short_temporary_folder() -> str:
    """A folder whose path leaves room for Ray's socket names (107 bytes at most)."""
    return tempfile.mkdtemp(prefix="ddr-", dir="/tmp")
