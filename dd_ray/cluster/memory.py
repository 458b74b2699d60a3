"""How much memory this cluster has for another service."""

from __future__ import annotations

import ray
from ray._common.utils import get_system_memory
from ray._private.utils import get_used_memory


def free_memory() -> float:
    """Bytes: what is free here, in this container if it is one, where there is no other node.

    What is free on other nodes nobody here knows; of several it is what the largest one has in all.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) > 1:
        return max(float(node["Resources"].get("memory", 0)) for node in nodes)
    return float(get_system_memory() - get_used_memory())
