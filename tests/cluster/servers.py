"""Real servers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dd_ray.cluster.flags import free_port

START_S = 120


class Server:
    """A `dd-ray serve` and what it prints."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dd_ray.cli", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | (env or {}),
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._said:
                self.lines.append(line.rstrip())
                self._said.notify_all()
        with self._said:
            self._said.notify_all()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_S
        with self._said:
            while "listens on" not in self.output:
                left = deadline - time.monotonic()
                assert left > 0, f"not listening after {START_S} s: {self.output}"
                assert self._reader.is_alive(), f"ended: {self.output}"
                self._said.wait(left)

    def wait(self) -> int:
        """The exit code, once it has ended and everything it printed was read."""
        code = self.process.wait(START_S)
        self._reader.join(10)
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running(*arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[Server, str]]:
    """A server on a free port, with a Ray of its own unless told otherwise, and its URL."""
    port = free_port()
    address = () if "--ray-address" in arguments else ("--ray-address", "local")
    server = Server("--port", str(port), *address, *arguments, env=env)
    try:
        server.wait_until_listening()
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@contextmanager
def ray_head(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """A Ray that somebody started with `ray start`, and its address."""
    port = free_port()
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ray"),
            *("start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"),
            *(f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | env,
    )
    try:
        _await_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        # killed, because asked to end it drains for half a minute
        family = [psutil.Process(process.pid)]
        family += family[0].children(recursive=True)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(30)
        psutil.wait_procs(family, 10)


def _await_port(port: int) -> None:
    import socket

    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on {port}")
