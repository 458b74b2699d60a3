"""A Ray of our own: what it does seldom, what it does without, and how it starts soon.

Idle, it takes half of the CPU that it would. A Ray that was started with `ray start` is somebody's
who may use all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.node import Node

from dd_ray.cluster.flags import AHEAD

_WORKERS = 5
"""Of a server: the state, the API, Serve's controller and two proxies."""

_FLAGS = {
    # a round asks for all nodes and looks at all replicas; ten times a second by default
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
    # how often replicas add up what Ray collects every 10 s
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    "REPORTER_UPDATE_INTERVAL_MS": "15000",
    # read by the dashboard and `ray list tasks` alone
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    # Ray would start as many at once as there are CPUs, and two of these wait for others
    "RAY_worker_maximum_startup_concurrency": str(max(_WORKERS, os.cpu_count() or 1)),
    AHEAD: "ray.serve._private.controller ray.serve._private.proxy ray.serve._private.haproxy",
    # of each log file, of which each process has two; Ray's own bound is 3 GB for each
    "RAY_ROTATION_MAX_BYTES": str(16 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "2",
}

_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
"""The autoscaler's process, the one that prints workers' logs, and a dashboard without pages."""


def set_own_flags() -> None:
    """For a Ray that is about to start; what the operator has set stays."""
    for name, value in _FLAGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def without_unused_parts() -> Iterator[None]:
    """A Ray that starts meanwhile has none of the parts that it would run for nobody.

    Ray has no public switch for them. If they go by other names one day, they run.
    """
    found = {name: getattr(Node, name) for name in _UNUSED if hasattr(Node, name)}
    for name in found:
        setattr(Node, name, _nothing)
    try:
        yield
    finally:
        for name, start in found.items():
            setattr(Node, name, start)


def _nothing(_node: Node, **_options: Any) -> None:
    pass
