"""Idle workers kept ready, so that a service or a job does not wait for a process to start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import grpc
import psutil
import ray
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc, runtime_environment_pb2
from ray.exceptions import RayError
from ray.runtime_env import RuntimeEnv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.cluster.flags import AHEAD, LATER
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_KEEP_ALIVE_S = 7 * 24 * 3600

_LOOK_EVERY_S = 0.5
_IDLE_CPUS = 0.75
_IDLE_LOOKS = 4
_WAIT_S = 300

_IDLE = "ray::IDLE"
_STARTING = "default_worker.py"

WORKERS = 5
"""Of a server without services: the state, the API, Serve's controller and two proxies."""

_OF_SERVERS = "ray.serve._private.controller ray.serve._private.proxy ray.serve._private.haproxy"
_ALL = "dd_ray.cluster.service_app dd_ray.cluster.jobs"
_MODULES = {
    "xgboost": f"{_ALL} dd_ray.mllibs.xgboost.mllib",
    "torch": f"{_ALL} dd_ray.mllibs.torch.mllib",
}
"""What services of a library import, by the library's extra."""

_FOR_JOBS = {"xgboost": "ray.train.xgboost", "torch": "ray.train.torch"}
"""What trainings import besides: 95 MB, of which a service has no use."""


def warm_all_workers() -> None:
    """Has the workers of a Ray that is about to start here import what those of a server need."""
    os.environ.setdefault(AHEAD, _OF_SERVERS)


def warm_options(library: str) -> dict[str, Any]:
    """The options of an actor that uses a library, so that it gets a worker that has imported it.

    Ray gives an actor only such a worker as was started with the same `runtime_env`.
    """
    if library not in settings().warm:
        return {}
    return {"runtime_env": {"env_vars": {AHEAD: _MODULES[library], LATER: _FOR_JOBS[library]}}}


class Replacing:
    """Has nodes start idle workers in place of those that were taken, once for each at a time."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def begin(self, library: str, node: str, *, busy: bool = False) -> None:
        """A node is to have an idle worker of a library; `busy`, when it has time for it.

        To import a library takes CPU seconds, which a training or service that has just begun would
        miss, and a priority is of no help: Linux weighs processes of different sessions alike.
        """
        key = library, node
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(_replace(library, node, busy=busy))
            self._tasks[key].add_done_callback(lambda _: self._tasks.pop(key))


async def _replace(library: str, node: str, *, busy: bool) -> None:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    try:
        await _ensuring.options(scheduling_strategy=there).remote(library, busy=busy)
    except RayError as exc:  # what needs the worker then takes longer to begin
        logger.warning("no idle worker was started on %s: %s", node, exc)


def _ensure_worker(library: str, *, busy: bool) -> None:
    """Starts an idle worker on this node, where this is a task, unless there is one."""
    is_warm = bool(warm_options(library))
    if busy and is_warm:
        asyncio.run(until_idle(_idle_cpus))
    ahead = _MODULES[library] if is_warm else os.environ.get(AHEAD)
    if not has_idle_worker(psutil.Process(os.getppid()), ahead):
        prestart_workers(library, node=ray.get_runtime_context().get_node_id())


# once: Ray keeps each that is made
_ensuring = ray.remote(num_cpus=0, max_retries=0)(_ensure_worker)


def has_idle_worker(raylet: psutil.Process, ahead: str | None) -> bool:
    """Whether a node has a worker with these imports that waits for something to do, or starts."""
    for worker in raylet.children():
        with contextlib.suppress(psutil.Error):
            command = " ".join(worker.cmdline())
            is_free = command.startswith(_IDLE) or _STARTING in command
            if is_free and worker.environ().get(AHEAD) == ahead:
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
