"""Idle workers kept ready, so that a service or a job does not wait for a process to start."""

from __future__ import annotations

import logging

import grpc
import ray
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc

logger = logging.getLogger(__name__)

_KEEP_ALIVE_S = 7 * 24 * 3600


def prestart_workers(count: int) -> None:
    """Asks every node to start `count` more idle workers: one for each that was taken.

    Ray starts workers when they are needed and has no public call to start them earlier; this is
    the raylet's own request for it. Where it fails, starting is slower and nothing else.
    """
    request = node_manager_pb2.PrestartWorkersRequest(
        language=0,  # Python
        num_workers=count,
        keep_alive_duration_secs=_KEEP_ALIVE_S,
    )
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        address = f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
        try:
            with init_grpc_channel(address) as channel:
                stub = node_manager_pb2_grpc.NodeManagerServiceStub(channel)
                stub.PrestartWorkers(request, timeout=5)
        except grpc.RpcError as exc:
            logger.warning("no workers prestarted on %s: %s", address, exc)
