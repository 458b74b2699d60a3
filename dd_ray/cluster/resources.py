"""What there is on this cluster, and where services and trainings stand on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import ray
from ray._private.state import state as cluster

from dd_ray.mllibs.spec import MLLibParams
from dd_ray.services.needs import service_needs, training_needs
from dd_ray.services.placement import Needs, Node, Place, Resources, place
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)

ON_HEAD: Mapping[str, Any] = {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}
"""The options of Ray for what all need and computes little: it is lost with the head alone,
without which there is no Ray either."""


def needs_of_service(mllib: MLLibParams, settings: Settings) -> Needs:
    """See service_needs."""
    return service_needs(mllib, settings, gpus=_gpus(mllib))


def needs_of_training(mllib: MLLibParams, settings: Settings) -> Needs:
    """See training_needs."""
    return training_needs(mllib, settings, gpus=_gpus(mllib))


def find_place(needs: Needs, settings: Settings) -> Place:
    """Where something stands on this cluster that needs so much."""
    growth = _growth()
    return place(
        needs,
        _nodes(),
        growth=growth,
        grows_unknown=settings.autoscaling and not growth,
    )


def actor_options(needs: Needs) -> dict[str, Any]:
    """The options of Ray for one of the processes."""
    others = {k: v for k, v in needs.resources.items() if k not in ("CPU", "GPU", "memory")}
    options: dict[str, Any] = {
        "num_cpus": needs.resources.get("CPU", 0),
        "num_gpus": needs.resources.get("GPU", 0),
    }
    if others:
        options["resources"] = others
    if "memory" in needs.resources:
        options["memory"] = int(needs.resources["memory"])
    if needs.labels:
        options["label_selector"] = dict(needs.labels)
    return options


def _gpus(mllib: MLLibParams) -> int:
    """How many GPUs there are, or may come, for who asks for some; the log says when none."""
    if mllib.gpus == 0:
        return 0
    there = int(ray.cluster_resources().get("GPU", 0))
    there = there or int(max((kind.get("GPU", 0) for kind in _growth()), default=0))
    if not there:
        _say_once("gpu requested, but the cluster has none: on the CPU")
    return there


@cache
def _say_once(text: str) -> None:
    logger.warning(text)


def _nodes() -> list[Node]:
    free = cluster.available_resources_per_node()
    return [
        Node(node["Resources"], free.get(node["NodeID"], {}), node["Labels"])
        for node in ray.nodes()
        if node["Alive"]
    ]


def _growth() -> list[Resources]:
    """The kinds of node that an autoscaler may add, where it has told the cluster."""
    config = cluster.get_cluster_config()
    if config is None:
        return []
    return [dict(group.resources) for group in config.node_group_configs if group.max_count != 0]
