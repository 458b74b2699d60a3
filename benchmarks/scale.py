"""What grows with services, replicas and workers, and what a simulation says of large clusters.

    python benchmarks/scale.py [--services 8] [--seconds 6] [--rows 50000]

On this machine: services, one after the other; predictions against replicas; a training against
workers. All processes share its CPUs, the clients too.

The simulation is arithmetic over the processes that there are once in a cluster. Each does its work
in one thread, so its load is the CPU seconds that it needs in a second; above 1 it is too slow, and
the highest load is the first bottleneck. How many CPU seconds a process takes for a service, a
predict call, a training and nothing at all is measured here, in the same run. Assumed are only the
constants below and that costs are proportional; Ray's GCS is thought to do twice as much for two
nodes as all that it does here for one, which is more than it does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from support import machine, server

from dd_ray.services.stats import Stats
from dd_ray.settings import settings

SERVICES_OF_NODE = 4
TRAININGS_OF_NODE = 0.25
REQUESTS_S = 25.0
"""Assumed: busy services on a node, trainings on one, predict calls of a service in a second."""
COUNTS_S = 4.0
"""How often a busy replica tells the state what it has counted, at most: see served."""
TOGETHER = 4
"""Services that are started together when a server comes back: see deploying."""
RESTART_S = 600.0
"""Assumed: how long a restart of the head may take until all services are back."""
CLIENTS = 8
ROUNDS = 100
ROW = ",".join(["0.5"] * 10)
SIZES = (10, 100, 1000)

PARTS = {"state": "StateActor", "controller": "ServeController", "gcs": "gcs_server"}
"""Processes that there are once, by words of their command line; and the edge, our own HAProxy."""

Cpu = Mapping[str, float]
"""CPU seconds by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the simulation is fed: CPU seconds."""

    idle: Cpu
    """In a second, without services."""
    service: Cpu
    """In a second, for each service that nobody calls."""
    training: float
    """Of the state in a second, for a training under way."""
    count: float
    """Of the state for a count of a replica."""
    request: float
    """Of the edge for a predict call."""
    creation_s: float
    """Seconds until a service is there."""


def loads(nodes: int, given: Measured) -> dict[str, float]:
    """The load of each part, in shares of what it can do."""
    services = nodes * SERVICES_OF_NODE
    counts = services * min(COUNTS_S, REQUESTS_S) * given.count
    trainings = nodes * TRAININGS_OF_NODE * given.training
    of_services = {part: services * cost for part, cost in given.service.items()}
    return {
        "state": given.idle["state"] + of_services["state"] + counts + trainings,
        "Serve's controller": given.idle["controller"] + of_services["controller"],
        "Ray's GCS": nodes * given.idle["gcs"] + of_services["gcs"],
        "one edge": services * REQUESTS_S * given.request,
        "restart": services * given.creation_s / TOGETHER / RESTART_S,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rows", type=int, default=50_000)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, server() as url:
        data = _data(Path(folder) / "rows.csv", given.rows)
        with httpx.Client(base_url=url, timeout=600) as http:
            idle = _cpu_in(given.seconds)
            creation_s, service = _services(http, Path(folder), given, idle)
            request = _replicas(http, url, Path(folder), data, given.seconds)
            training = _workers(http, Path(folder), data, idle["state"])
    measured = Measured(
        idle=idle,
        service=service,
        training=training,
        count=_count_cpu(given.seconds),
        request=request,
        creation_s=creation_s,
    )
    _print_measured(measured)
    _print_simulation(measured)


def _print_measured(given: Measured) -> None:
    print("\n| CPU ms in a second | without services | more for each service |\n|---|--:|--:|")
    for part in given.idle:
        print(f"| {part} | {given.idle[part] * 1000:.1f} | {given.service[part] * 1000:.2f} |")
    print(
        f"\nThe edge takes {given.request * 1e6:.0f} µs of a CPU for a predict call, the state"
        f" {given.count * 1e6:.0f} µs for a count and {given.training * 1000:.1f} ms in a second"
        " for a training."
    )


def _print_simulation(given: Measured) -> None:
    print("\n| nodes | " + " | ".join(loads(1, given)) + " | first bottleneck |")
    print("|--:|" + "--:|" * len(loads(1, given)) + "---|")
    for nodes in SIZES:
        found = loads(nodes, given)
        worst = max(found, key=lambda part: found[part])
        cells = " | ".join(f"{load:.0%}" for load in found.values())
        says = worst if found[worst] > 1 else f"none yet, {worst} comes first"
        print(f"| {nodes:,} | {cells} | {says} |")


def _services(
    http: httpx.Client, folder: Path, given: argparse.Namespace, idle: Cpu
) -> tuple[float, dict[str, float]]:
    """Prints what services cost; seconds of the creation of one, and its CPU in a second."""
    before, began = _memory(), time.monotonic()
    for number in range(given.services):
        _create(http, f"s{number}", folder / f"s{number}")
    seconds = (time.monotonic() - began) / given.services
    each = (_memory() - before) / given.services / 2**20
    print(f"\nservices without a model: {seconds:.2f} s, {each:.0f} MiB each, of {given.services}")
    busy = _cpu_in(given.seconds)
    for number in range(given.services):
        http.delete(f"/services/s{number}").raise_for_status()
    return seconds, {part: max(busy[part] - idle[part], 0) / given.services for part in idle}


def _replicas(http: httpx.Client, url: str, folder: Path, data: str, seconds: float) -> float:
    """Prints predictions a second against replicas; what one costs the edge."""
    print(f"\n| replicas | predictions/s, {CLIENTS} clients |\n|--:|--:|")
    costs = []
    for replicas in (1, 2):
        name = f"r{replicas}"
        _create(http, name, folder / name, replicas=replicas)
        _train(http, name, data, {"iterations": 20})
        before = _cpu()["edge"]
        count = _calls(url, name, seconds)
        costs.append((_cpu()["edge"] - before) / count)
        print(f"| {replicas} | {count / seconds:.0f} |")
        http.delete(f"/services/{name}").raise_for_status()
    return max(costs)


def _workers(http: httpx.Client, folder: Path, data: str, idle: float) -> float:
    """Prints seconds of a training against workers; CPU of the state in a second of one."""
    print(f"\n| workers | first round, s | {ROUNDS} more rounds, s |\n|--:|--:|--:|")
    costs = []
    for workers in (1, 2):
        seconds = []
        for iterations in (1, 1 + ROUNDS):
            name = f"w{workers}-{iterations}"
            _create(http, name, folder / name)
            given = {"iterations": iterations, "workers": workers, "resources": {"num_cpus": 0.5}}
            before, began = _cpu()["state"], time.monotonic()
            _train(http, name, data, given)
            seconds.append(time.monotonic() - began)
            if iterations > 1:
                costs.append((_cpu()["state"] - before) / seconds[-1] - idle)
            http.delete(f"/services/{name}").raise_for_status()
        print(f"| {workers} | {seconds[0]:.1f} | {seconds[1] - seconds[0]:.1f} |")
    return max(*costs, 0)


def _create(http: httpx.Client, name: str, path: Path, **mllib: Any) -> None:
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 2} | mllib},
        "model": {"repository": str(path), "create_repository": True},
    }
    answer = http.put(f"/services/{name}", json=call)
    assert answer.status_code == 201, answer.text


def _train(http: httpx.Client, name: str, data: str, mllib: dict[str, Any]) -> None:
    parameters = {"input": {"label": "y"}, "mllib": mllib, "output": {"measure": ["acc"]}}
    call = {"service": name, "async": False, "parameters": parameters, "data": [data]}
    answer = http.post("/train", json=call)
    assert answer.status_code == 201, answer.text


def _calls(url: str, name: str, seconds: float) -> int:
    """How many predictions clients get that each send one after the other."""
    content = json.dumps({"service": name, "data": [ROW]})
    end, counts = time.monotonic() + seconds, [0] * CLIENTS

    def call(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as http:
            while time.monotonic() < end:
                http.post("/predict", content=content).raise_for_status()
                counts[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def _count_cpu(seconds: float) -> float:
    """CPU seconds of a state for a count, which it gets from replicas all the time."""
    import ray

    from dd_ray.cluster.ray_start import LOCAL, connect
    from dd_ray.cluster.remote_state import RemoteState
    from dd_ray.cluster.state_actor import state_actor

    with tempfile.TemporaryDirectory() as home:
        os.environ["DD_RAY_HOME"] = home
        settings.cache_clear()
        connected = connect(LOCAL)
        try:
            state = RemoteState(state_actor())
            ray.get(state.tell_count("none", Stats()))
            began, done, before = time.monotonic(), 0, _cpu()["state"]
            while time.monotonic() - began < seconds:
                ray.get([state.tell_count("none", Stats()) for _ in range(200)])
                done += 200
            return (_cpu()["state"] - before) / done
        finally:
            connected.stop()


def _cpu_in(seconds: float) -> dict[str, float]:
    """CPU seconds of each part in a second."""
    before, began = _cpu(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {part: (cpu - before[part]) / took for part, cpu in _cpu().items() if part in PARTS}


def _cpu() -> dict[str, float]:
    """CPU seconds that each part has used."""
    used = dict.fromkeys([*PARTS, "edge"], 0.0)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            command = " ".join(child.cmdline())
            of_ours = child.name() == "haproxy" and "dd_ray.cli" in " ".join(
                child.parents()[0].cmdline()
            )
            names = [part for part, word in PARTS.items() if word in command]
            for part in [*names, *(["edge"] if of_ours else [])]:
                times = child.cpu_times()
                used[part] += times.user + times.system
    return used


def _data(path: Path, rows: int) -> str:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 10)).astype(np.float32)
    labels = (values[:, 0] * values[:, 1] > 0).astype(int)
    header = ",".join([*(f"c{i}" for i in range(10)), "y"])
    table = np.column_stack([values, labels])
    np.savetxt(path, table, "%.6g", ",", header=header, comments="")
    return str(path)


def _memory() -> int:
    """Bytes of this process's children that nobody shares."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += child.memory_full_info().uss
    return total


if __name__ == "__main__":
    main()
