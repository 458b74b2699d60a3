"""Ray nodes of this machine: each is a `ray start` of its own, with its own simulated resources."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dd_ray.cluster.flags import serve_flags
from tests.cluster.servers import end_family

RAY = str(Path(sys.executable).parent / "ray")


class RayNode:
    """A node that has joined the Ray at an address."""

    def __init__(self, address: str, *options: str, without: Path | None = None) -> None:
        """Where the machines have the folder `without`, this one has another."""
        self._process = subprocess.Popen(
            [
                *(() if without is None else _with_its_own(without)),
                *(RAY, "start", f"--address={address}", "--block", "--node-ip-address=127.0.0.1"),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | serve_flags({}),
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:  # two that join at the same time hinder each other
            said.append(line)
            if "Ray runtime started" in line:
                return
        raise AssertionError("".join(said))

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def kill(self) -> None:
        """What a power cut does."""
        if self._process.poll() is None:
            end_family(self._process)
            assert self._process.stdout is not None
            self._process.stdout.close()


def _with_its_own(folder: Path) -> tuple[str, ...]:
    """Runs a command that sees an empty folder in the place of one."""
    mount = 'mount -t tmpfs none "$0" && exec "$@"'
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder))


@contextmanager
def node(address: str, *options: str, without: Path | None = None) -> Iterator[RayNode]:
    """A node while the context lasts, unless it is killed before."""
    joined = RayNode(address, *options, without=without)
    try:
        yield joined
    finally:
        joined.kill()


def runs_on(node: RayNode, *words: str) -> bool:
    """Whether a process whose command line has these words is on a node."""
    for process in node.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if all(word in " ".join(process.cmdline()) for word in words):
                return True
    return False
