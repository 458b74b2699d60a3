"""Machines that are namespaces of this one: of the network, of processes, of what is mounted.

Each has its own network interface and address, its own processes, home and Ray's folder; a bridge
joins them, which is the address of this machine among theirs. Files are shared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]

_RAY = Path("/tmp/ray")
_NETWORK = "10.213.74"
_INIT = "mount --bind {folder} /tmp/ray && echo ready && exec sleep infinity"


def lacking() -> str:
    """What keeps machines from being made here; empty when nothing does."""
    if os.geteuid() != 0:
        return "needs to be root"
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"needs the program {program}"
    probe = "unshare --net --pid --fork --mount --mount-proc ip link add type veth"
    if subprocess.run(probe.split(), capture_output=True).returncode:
        return "needs the right to make namespaces"
    return ""


class Machine:
    """One of them, number 1 and up."""

    def __init__(self, number: int, bridge: str, folder: Path, ending: ExitStack) -> None:
        self.address = f"{_NETWORK}.{number}"
        self.home = folder / "home"
        self.is_cut = False
        self._name, self._link = f"{bridge}-{number}", f"{bridge}-v{number}"
        ray = folder / "ray"
        for each in (self.home, ray):
            each.mkdir(parents=True)
        _ip(f"netns add {self._name}")
        ending.callback(_ip, f"netns del {self._name}")
        _ip(f"link add {self._link} type veth peer name eth0 netns {self._name}")
        ending.callback(_ip, f"link del {self._link}")  # its namespace goes when it likes
        _ip(f"link set {self._link} master {bridge} up")
        _ip(f"-n {self._name} addr add {self.address}/24 dev eth0")
        for link in ("lo", "eth0"):
            _ip(f"-n {self._name} link set {link} up")
        # leads nowhere, but Ray takes the address that it would go out by
        _ip(f"-n {self._name} route add default via {_NETWORK}.254")
        self._ray = ray
        self.switch_on()
        ending.callback(self.switch_off)

    def switch_on(self) -> None:
        """Nothing runs there yet; its files are those from before."""
        spaces = "--pid --fork --kill-child --mount --mount-proc --uts"
        self._outer = subprocess.Popen(
            [
                *f"ip netns exec {self._name} unshare {spaces} sh -c".split(),
                _INIT.format(folder=self._ray),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._outer.stdout is not None
        assert self._outer.stdout.readline() == "ready\n"
        (self._init,) = psutil.Process(self._outer.pid).children()

    def run(self, command: str, **given: Any) -> subprocess.Popen[str]:
        """Starts a shell's command there; `given` are options of Popen."""
        spaces = f"--target={self._init.pid} --net --pid --mount --uts"
        return subprocess.Popen(
            [*f"nsenter {spaces} --wd={ROOT}".split(), "bash", "-e", "-c", command],
            env=_environment(self.home),
            text=True,
            **given,
        )

    def do(self, command: str) -> str:
        """Runs a command to its end, whatever it leaves running; returns what it printed."""
        with tempfile.TemporaryFile("w+") as said:
            running = self.run(command, stdout=said, stderr=subprocess.STDOUT)
            code = running.wait(180)
            said.seek(0)
            printed = said.read()
        assert code == 0, f"{command}: {printed}"
        return printed

    def cut(self) -> None:
        """Takes its network cable out."""
        _ip(f"link set {self._link} down")
        self.is_cut = True

    def join(self) -> None:
        """Puts the cable back."""
        _ip(f"link set {self._link} up")
        self.is_cut = False

    def processes(self) -> list[psutil.Process]:
        return self._init.children(recursive=True)

    def switch_off(self) -> None:
        """Ends all that runs there, at once."""
        if self._outer.poll() is None:
            for first in psutil.Process(self._outer.pid).children():
                first.kill()  # its end is that of all others
            self._outer.wait(30)
            assert self._outer.stdout is not None
            self._outer.stdout.close()


@contextmanager
def machines(count: int, folder: Path) -> Iterator[list[Machine]]:
    """So many machines, with their files in a folder."""
    bridge = f"ddr{os.getpid()}"
    _RAY.mkdir(exist_ok=True)
    with ExitStack() as ending:
        _ip(f"link add {bridge} type bridge")
        ending.callback(_ip, f"link del {bridge}")
        _ip(f"addr add {_NETWORK}.254/24 dev {bridge}")
        _ip(f"link set {bridge} up")
        yield [Machine(n, bridge, folder / str(n), ending) for n in range(1, count + 1)]


def _environment(home: Path) -> dict[str, str]:
    """That of somebody who has just logged in, but for where Python finds this project."""
    path = f"{sys.prefix}/bin:{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def _ip(arguments: str) -> None:
    done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {arguments}: {done.stderr}"
