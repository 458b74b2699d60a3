"""What the benchmarks share: a server of their own, and the machine's description."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import psutil

from dd_ray.cluster.flags import free_port


@contextmanager
def server(**env: str) -> Iterator[str]:
    """The URL of a `dd-ray serve` with a Ray and a home of its own."""
    with tempfile.TemporaryDirectory(prefix="dd-ray-home-") as home:
        yield from _serve({"DD_RAY_HOME": home} | env)


def _serve(env: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "dd_ray.cli", "serve", "--ray-address", "local"]
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, text=True, env=os.environ | env
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "listens on" in line:
                break
        else:
            raise SystemExit("the server did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def quiet(busy: float = 15.0, limit_s: float = 120.0) -> None:
    """Wait until less than `busy` percent of the CPUs is in use for three seconds.

    After a training the server makes a new warm worker ready, which must not be part of what is
    measured next. An idle server takes 8 percent of two CPUs.
    """
    until = time.monotonic() + limit_s
    while psutil.cpu_percent(interval=3) > busy:
        if time.monotonic() > until:
            raise SystemExit(f"more than {busy} % of the CPUs stayed in use")


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("ray", "xgboost", "numpy"))
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {packages}"
