"""Idle workers kept ready, so that a service or a job does not wait for a process to start."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import ray
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc, runtime_environment_pb2
from ray.runtime_env import RuntimeEnv

from dd_ray.cluster.flags import AHEAD
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_KEEP_ALIVE_S = 7 * 24 * 3600

_MODULES = {
    "xgboost": "ray.train.xgboost dd_ray.mllibs.xgboost.mllib",
    "torch": "ray.train.torch dd_ray.mllibs.torch.mllib",
}
"""What services and trainings of a library import, by the library's extra."""


def warm_options(library: str) -> dict[str, Any]:
    """The options of an actor that uses a library, so that it gets a worker that has imported it.

    Ray gives an actor only such a worker as was started with the same `runtime_env`.
    """
    if library not in settings().warm:
        return {}
    return {"runtime_env": {"env_vars": {AHEAD: _MODULES[library]}}}


def prestart_workers(library: str = "", *, node: str = "") -> None:
    """Asks every node, or the one with an id, to start one more idle worker.

    One for each that was taken, where it was taken: elsewhere none is missing. Ray starts workers
    when they are needed and has no public call to start them earlier; this is the raylet's own
    request for it. Where it fails, starting is slower and nothing else.
    """
    request = node_manager_pb2.PrestartWorkersRequest(
        language=0,  # Python
        num_workers=1,
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
