"""Whether a server that is used for long keeps what it should give back.

    python benchmarks/soak.py [--cycles 200] [--predicts 20000] [--trainings 50]

Creates, asks and deletes services, predicts, and trains, on a server of its own. Prints what all of
the server's processes have together: memory as PSS, so that what they share counts once, handles,
processes, and references to Ray's objects. Slopes are those of a line through what was seen after
the first third, which is left to caches and pools to fill up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc

SAMPLES = 12
"""How often a phase is looked at."""

WARM = 1 / 3
"""Part of a phase that is not counted."""

SETTLE_S = 2.0
"""Before each look: what was deleted takes its time to end."""

_MIB = 2**20
INPUT = {"label": "target"}
ROW = "5.1,3.5,1.4,0.2"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a server have at one moment."""

    memory_mb: float
    handles: float
    processes: float
    objects: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A number of operations of one kind, and what was seen at times between them."""

    name: str
    done: Sequence[int]
    usages: Sequence[Usage]

    def slope(self, field: str) -> float:
        """Growth in 100 operations after warming up."""
        first = int(len(self.done) * WARM)
        values = [getattr(usage, field) for usage in self.usages[first:]]
        return float(np.polyfit(self.done[first:], values, 1)[0]) * 100

    def ends(self, field: str) -> tuple[float, float]:
        """After warming up, and at the end."""
        first = int(len(self.done) * WARM)
        return getattr(self.usages[first], field), getattr(self.usages[-1], field)


def usage(root: psutil.Process) -> Usage:
    """Of a server and all its processes; those that end meanwhile are left out."""
    memory = handles = processes = 0.0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            memory += process.memory_full_info().pss / _MIB
            handles += process.num_fds()
            processes += 1
    return Usage(memory, handles, processes, _objects(root))


def _objects(root: psutil.Process) -> float:
    """References to objects in all workers, as the raylet counts them."""
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.name() == "raylet":
                options = dict(
                    option.lstrip("-").split("=", 1)
                    for option in process.cmdline()[1:]
                    if "=" in option
                )
                return _ask_raylet(options["node_ip_address"], _port(process, options))
    raise SystemExit("the server has no raylet")


def _port(raylet: psutil.Process, options: dict[str, str]) -> int:
    port = int(options.get("node_manager_port", 0))
    if port:
        return port
    listening = [c for c in raylet.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    for connection in listening:
        with contextlib.suppress(Exception):  # not this one
            _ask_raylet(options["node_ip_address"], connection.laddr.port)
            return int(connection.laddr.port)
    raise SystemExit("the raylet listens nowhere")


def _ask_raylet(host: str, port: int) -> float:
    token = Path("~/.ray/auth_token").expanduser().read_text().strip()
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        stub = node_manager_pb2_grpc.NodeManagerServiceStub(channel)
        request = node_manager_pb2.GetNodeStatsRequest(include_memory_info=True)
        stats = stub.GetNodeStats(
            request, timeout=20, metadata=[("authorization", f"Bearer {token}")]
        )
    return float(sum(each.num_object_refs_in_scope for each in stats.core_workers_stats))


def watch(
    name: str,
    operation: Callable[[int], object],
    count: int,
    *,
    root: psutil.Process,
    samples: int,
    settle_s: float,
) -> Phase:
    """Does an operation so often, and looks at the server now and then."""
    done, usages = [], []
    for number in range(1, count + 1):
        operation(number)
        if number % max(count // samples, 1) == 0:
            time.sleep(settle_s)
            done.append(number)
            usages.append(usage(root))
    return Phase(name=name, done=done, usages=usages)


def soak(
    http: httpx.Client,
    root: psutil.Process,
    folder: Path,
    *,
    cycles: int,
    predicts: int,
    trainings: int,
    samples: int = SAMPLES,
    settle_s: float = SETTLE_S,
) -> list[Phase]:
    """The phases, on a server whose first process is `root`."""
    data = folder / "data.csv"
    data.write_text(_table())
    create(http, "soak", folder / "model")
    train(http, "soak", data)

    def cycle(number: int) -> None:
        create(http, "soak-cycle", folder / "model")
        predict(http, "soak-cycle")
        http.delete("/services/soak-cycle").raise_for_status()

    look = partial(watch, root=root, samples=samples, settle_s=settle_s)
    phases = [
        look("PUT, predict, DELETE", cycle, cycles),
        look("predict", lambda _: predict(http, "soak"), predicts),
        look("train", lambda _: train(http, "soak", data), trainings),
    ]
    http.delete("/services/soak").raise_for_status()
    return phases


def create(http: httpx.Client, name: str, repository: Path) -> None:
    call = {
        "mllib": "xgboost",
        "description": "",
        "model": {"repository": str(repository), "create_repository": True},
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 3}},
    }
    _sent(http, "PUT", f"/services/{name}", call)


def train(http: httpx.Client, name: str, data: Path) -> None:
    parameters = {"input": INPUT, "mllib": {"iterations": 5}}
    call = {"service": name, "async": False, "parameters": parameters, "data": [str(data)]}
    _sent(http, "POST", "/train", call)


def predict(http: httpx.Client, name: str) -> None:
    _sent(http, "POST", "/predict", {"service": name, "data": [ROW]})


def _sent(http: httpx.Client, method: str, path: str, call: object) -> None:
    answer = http.request(method, path, content=json.dumps(call))
    if answer.is_error:
        raise SystemExit(f"{method} {path}: {answer.text}")


def _table() -> str:
    """Three classes with four features."""
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=150)
    rows = rng.normal(targets[:, None], 0.5, size=(150, 4))
    lines = [
        ",".join([*(f"{v:.3f}" for v in row), str(t)]) for row, t in zip(rows, targets, strict=True)
    ]
    return "\n".join(["a,b,c,d,target", *lines]) + "\n"


def table(phases: Sequence[Phase]) -> str:
    """Markdown: after warming up, at the end, and the growth in 100 operations."""
    columns = {"memory_mb": "MB", "handles": "handles", "processes": "processes"}
    columns |= {"objects": "objects"}
    head = [f"{title}: warm, end, in 100" for title in columns.values()]
    lines = [f"| {' | '.join(['operation', 'times', *head])} |", "|---" * (len(head) + 2) + "|"]
    for phase in phases:
        cells = [phase.name, f"{phase.done[-1]:,}"]
        for field in columns:
            warm, end = phase.ends(field)
            cells.append(f"{warm:,.0f}, {end:,.0f}, {phase.slope(field):+.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    from support import machine, server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--predicts", type=int, default=20_000)
    parser.add_argument("--trainings", type=int, default=50)
    given = vars(parser.parse_args())
    before = set(psutil.Process().children())
    with tempfile.TemporaryDirectory() as folder, server() as url:
        (root,) = set(psutil.Process().children()) - before
        began = time.monotonic()
        with httpx.Client(base_url=url, timeout=300) as http:
            phases = soak(http, root, Path(folder), **given)
    print(f"{machine()}, {time.monotonic() - began:.0f} s\n")
    print(table(phases))
    for phase in phases:
        print(phase.name, [tuple(round(v) for v in astuple(each)) for each in phase.usages])


if __name__ == "__main__":
    main()
