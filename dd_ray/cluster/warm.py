"""Idle workers kept ready, so that a service or a job does not wait for a process to start."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psutil
import ray
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc, runtime_environment_pb2
from ray.runtime_env import RuntimeEnv

from dd_ray.cluster.flags import AHEAD
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_KEEP_ALIVE_S = 7 * 24 * 3600

_LOOK_EVERY_S = 0.5
_IDLE_CPUS = 0.75
_IDLE_LOOKS = 4
_WAIT_S = 300

_IDLE = "ray::IDLE"
_STARTING = "default_worker.py"
_FORK_S = 5.0

WORKERS = 5
"""Of a server without services: the state, the API, Serve's controller and two proxies."""

_OF_SERVERS = "ray.serve._private.controller ray.serve._private.proxy ray.serve._private.haproxy"
_ALL = "dd_ray.cluster.service_app dd_ray.cluster.jobs"
_MODULES = {
    "xgboost": f"ray.train.xgboost dd_ray.mllibs.xgboost.mllib {_ALL}",
    "torch": f"ray.train.torch dd_ray.mllibs.torch.mllib {_ALL}",
}
"""What services and trainings of a library import, by the library's extra."""


def warm_all_workers() -> None:
    """Has the workers of a Ray that is about to start here import what those of a server need."""
    os.environ.setdefault(AHEAD, _OF_SERVERS)


def warm_options(library: str) -> dict[str, Any]:
    """The options of an actor that uses a library, so that it gets a worker that has imported it.

    Ray gives an actor only such a worker as was started with the same `runtime_env`.
    """
    if library not in settings().warm:
        return {}
    return {"runtime_env": {"env_vars": {AHEAD: _MODULES[library]}}}


async def replace_worker(library: str) -> None:
    """Sees to it that this node has an idle worker of a library, as one may have been taken.

    To import a library takes CPU seconds, which a training or the service that has just begun would
    miss, and a priority is of no help: Linux weighs processes of different sessions alike.
    """
    if warm_options(library):
        await until_idle(_idle_cpus)
        await asyncio.to_thread(ensure_worker, library)


def ensure_worker(library: str) -> None:
    """Has this node start an idle worker of a library unless it has one.

    Called in a worker. One of them at a time: all those that began at once would find none.
    """
    if not warm_options(library):
        return
    folder = Path(ray._private.worker.global_worker.node.get_session_dir_path())
    raylet = psutil.Process(os.getppid())
    with (folder / "dd-ray-warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if has_idle_worker(raylet, library):
            return
        prestart_workers(library, node=ray.get_runtime_context().get_node_id())
        deadline = time.monotonic() + _FORK_S
        while not has_idle_worker(raylet, library) and time.monotonic() < deadline:
            time.sleep(0.05)


def has_idle_worker(raylet: psutil.Process, library: str) -> bool:
    """Whether a node has a worker of a library that waits for something to do, or starts."""
    for worker in raylet.children():
        with contextlib.suppress(psutil.Error):
            command = " ".join(worker.cmdline())
            is_free = command.startswith(_IDLE) or _STARTING in command
            if is_free and worker.environ().get(AHEAD) == _MODULES[library]:
                return True
    return False


async def until_idle(idle_cpus: Callable[[], float], *, within_s: float = _WAIT_S) -> None:
    """Returns when most of a CPU was idle for two seconds, or after `within_s`.

    Not at once: one CPU is idle while a training that takes all of them reads its data.
    """
    deadline = time.monotonic() + within_s
    idle_cpus()
    idle_looks = 0
    while idle_looks < _IDLE_LOOKS and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
        idle_looks = idle_looks + 1 if idle_cpus() >= _IDLE_CPUS else 0


def _idle_cpus() -> float:
    """How many CPUs' time was idle since the last call."""
    per_cpu = psutil.cpu_times_percent(percpu=True)
    return sum(float(each.idle) for each in per_cpu) / 100


def prestart_workers(library: str = "", *, node: str = "", count: int = 1) -> None:
    """Asks every node, or the one with an id, to start one more idle worker, or so many.

    One for each that was taken, where it was taken: elsewhere none is missing. Ray starts workers
    when they are needed and has no public call to start them earlier; this is the raylet's own
    request for it. Where it fails, starting is slower and nothing else.
    """
    request = node_manager_pb2.PrestartWorkersRequest(
        language=0,  # Python
        num_workers=count,
        keep_alive_duration_secs=_KEEP_ALIVE_S,
    )
    options = warm_options(library)
    if options:
        env = RuntimeEnv(**options["runtime_env"])
        info = runtime_environment_pb2.RuntimeEnvInfo(serialized_runtime_env=env.serialize())
        request.runtime_env_info.CopyFrom(info)
    for found in ray.nodes():
        if not found["Alive"] or node not in ("", found["NodeID"]):
            continue
        address = f"{found['NodeManagerAddress']}:{found['NodeManagerPort']}"
        try:
            with init_grpc_channel(address) as channel:
                stub = node_manager_pb2_grpc.NodeManagerServiceStub(channel)
                stub.PrestartWorkers(request, timeout=5)
        except grpc.RpcError as exc:
            logger.warning("no workers prestarted on %s: %s", address, exc)
