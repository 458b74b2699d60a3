"""How many threads a library may use."""

from __future__ import annotations

import os

from dd_ray.settings import settings


def cpu_threads() -> int:
    """One for each CPU that this process may run on."""
    return len(os.sched_getaffinity(0))


def service_threads() -> int:
    """Those of a service: what the operator says, else as many as there are CPUs."""
    return settings().service_threads or cpu_threads()
