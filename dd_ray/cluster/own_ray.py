"""A Ray of our own: what it does seldom, what it does without, and how it starts soon.

Idle, it takes less than two thirds of the CPU that it would. A Ray that was started with
`ray start` is somebody's who may use all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray._private.node import Node

from dd_ray.cluster.warm import WORKERS

_CPUS = os.cpu_count() or 1

_FLAGS = {
    # a round asks for all nodes and looks at all replicas; ten times a second by default
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
    # how often replicas add up what Ray collects every 10 s
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    "REPORTER_UPDATE_INTERVAL_MS": "15000",
    # read by the dashboard and `ray list tasks` alone
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    # those of a server at once; by default as many as there are CPUs
    "RAY_worker_maximum_startup_concurrency": str(max(WORKERS, _CPUS)),
    # idle ones that nobody asked for; by default as many as there are CPUs
    "RAY_num_workers_soft_limit": str(min(WORKERS, _CPUS)),
    # of each log file, of which each process has two; Ray's own bound is 3 GB for each
    "RAY_ROTATION_MAX_BYTES": str(16 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "2",
}

_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
"""The autoscaler's process, the one that prints workers' logs, and a dashboard without pages."""


def own_flags(env: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of `env` before it starts; what the operator has set stays."""
    return {name: value for name, value in _FLAGS.items() if name not in env}


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
