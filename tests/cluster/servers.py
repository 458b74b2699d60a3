"""Real servers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from dd_ray.cluster.flags import free_port

START_S = 120


class Server:
    """A `dd-ray serve`, or another command that runs until it is stopped, and what it prints."""

    def __init__(
        self, *arguments: str, env: dict[str, str] | None = None, command: str = "serve"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dd_ray.cli", command, *arguments],
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

    def commands(self) -> dict[psutil.Process, list[str]]:
        """The command line of each child; those that end while we look are left out."""
        found = {}
        for child in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                found[child] = child.cmdline()
        return found


@contextmanager
def running(*arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[Server, str]]:
    """A server on a free port and its URL, with a Ray and a home of its own by default.

    Without an idle worker for torch, of which few tests have a use: it takes 4 CPU seconds.
    """
    port = free_port()
    address = () if "--ray-address" in arguments else ("--ray-address", "local")
    with tempfile.TemporaryDirectory(prefix="dd-ray-home-") as home:
        own = {"DD_RAY_HOME": home, "DD_RAY_WARM": "xgboost"} | (env or {})
        server = Server("--port", str(port), *address, *arguments, env=own)
        try:
            server.wait_until_listening()
            yield server, f"http://127.0.0.1:{port}"
            if server.process.poll() is None:
                leavings = Leavings(server)
                assert server.stop() == 0, server.output
                leavings.check()
        finally:
            server.stop()


def session_folder(server: Server) -> Path:
    """Where the Ray of a server keeps its files."""
    (found,) = _session_folders(word for command in server.commands().values() for word in command)
    return found


def _session_folders(words: Iterable[str]) -> set[Path]:
    options = ("--session_dir=", "--session-dir=")
    return {Path(word.partition("=")[2]) for word in words if word.startswith(options)}


class Leavings:
    """What a running server, with a Ray of its own, has of the machine; it must all go with it."""

    def __init__(self, server: Server) -> None:
        commands = server.commands()
        self._processes = list(commands)
        words = [word for command in commands.values() for word in command]
        self.haproxies = [word for word in words if word.endswith("/haproxy.cfg")]
        self._folders = {Path(word).parent for word in self.haproxies} | {
            found.parent for found in _session_folders(words)
        }

    def check(self) -> None:
        """Nothing is left of a server that has ended."""
        _, alive = psutil.wait_procs(self._processes, 5)
        assert alive == []
        assert not [folder for folder in self._folders if folder.exists()]


def refused(*given: tuple[Sequence[str], Mapping[str, str]]) -> list[str]:
    """What servers say that do not start, by their arguments and environments, all at once."""
    servers = [
        Server("--port", str(free_port()), *arguments, env=dict(env)) for arguments, env in given
    ]
    for server in servers:
        assert server.wait() == server.stop() == 1, server.output
    return [server.output for server in servers]


@contextmanager
def ray_head(folder: Path, env: dict[str, str], *options: str) -> Iterator[str]:
    """A Ray that somebody started with `ray start`, and its address."""
    port = free_port()
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ray"),
            *("start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"),
            *(f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | env,
    )
    try:
        _await_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        end_family(process)


def end_family(process: subprocess.Popen[Any]) -> None:
    """Kills a process and its children: a Ray that is asked to end drains for half a minute."""
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
