"""Asking each node of the cluster whether it can use a repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.services import reach
from dd_ray.services.reach import Mark

_WITHIN_S = 60.0
"""A node that starts a process for it takes seconds."""

# once: Ray keeps each that is made
_looking = ray.remote(num_cpus=0, max_retries=0)(reach.why_not)


def check_reach(path: str, labels: Mapping[str, str]) -> None:
    """Raises BadParameter naming the nodes with these labels that cannot use a repository.

    A Ray of one node is not asked.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    able = [node for node in alive if labels.items() <= node["Labels"].items()]
    if len(alive) > 1 and able:
        with reach.marked(path) as mark:
            reach.check(path, _found(mark, able))


def _found(mark: Mark, nodes: list[Any]) -> list[tuple[str, str]]:
    """A name that people know each node by, also where several are on one machine, and its word."""
    asked = {_ask(mark, node["NodeID"]): node for node in nodes}
    ray.wait(list(asked), num_returns=len(asked), timeout=_WITHIN_S)
    return [
        (
            f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})",
            _said(call, node["NodeID"]),
        )
        for call, node in asked.items()
    ]


def _ask(mark: Mark, node: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return _looking.options(scheduling_strategy=there).remote(mark)


def _said(call: Any, node: str) -> str:
    try:
        said: str = ray.get(call, timeout=0)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(call)
        return f"it did not say within {_WITHIN_S:.0f} s"
    except RayError as exc:
        gone = not any(each["Alive"] and each["NodeID"] == node for each in ray.nodes())
        return "" if gone else f"it failed: {exc}"
    return said
