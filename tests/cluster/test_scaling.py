"""How many replicas a service has, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dd_ray.cluster.resources import actor_options
from dd_ray.cluster.scaling import WAITING, by_waiting, replica_options
from dd_ray.mllibs.table import MLLIBS
from dd_ray.services.placement import Needs
from dd_ray.settings import Settings

SETTINGS = Settings.from_env({"DD_RAY_REPLICA_CALLS": "4", "DD_RAY_REPLICA_DROP_S": "60"})


def options(replicas: Any) -> dict[str, Any]:
    params = MLLIBS.find("xgboost").params.merge({"replicas": replicas})
    return replica_options(params, SETTINGS)


def test_a_number_of_replicas_stays() -> None:
    assert options(3) == {"num_replicas": 3}
    assert options({"min": 2, "max": 2}) == {"num_replicas": 2}


def test_bounds_are_those_of_serve() -> None:
    config = options({"min": 1, "max": 5})["autoscaling_config"]
    assert (config["min_replicas"], config["max_replicas"]) == (1, 5)
    assert config["target_ongoing_requests"] == 4
    assert (config["upscale_delay_s"], config["downscale_delay_s"]) == (30, 60)
    assert config["policy"] == {"policy_function": "dd_ray.cluster.scaling:by_waiting"}


@pytest.mark.parametrize(
    ("waiting", "wanted"), [([], 1), ([0.0], 1), ([5.0], 2), ([4.0, 4.0], 2), ([90.0, 9.0], 5)]
)
def test_their_number_follows_the_calls_under_way(waiting: list[float], wanted: int) -> None:
    context: Any = SimpleNamespace(
        aggregated_metrics={WAITING: dict(enumerate(waiting))} if waiting else {},
        config=SimpleNamespace(target_ongoing_requests=4),
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=5,
    )
    assert by_waiting(context) == (wanted, {})


def test_needs_are_options_of_ray() -> None:
    resources = {"CPU": 2.0, "GPU": 0.5, "memory": 1e9, "accelerator_type:T4": 0.001}
    assert actor_options(Needs(resources=resources, labels={"zone": "a"})) == {
        "num_cpus": 2.0,
        "num_gpus": 0.5,
        "memory": 10**9,
        "resources": {"accelerator_type:T4": 0.001},
        "label_selector": {"zone": "a"},
    }
    assert actor_options(Needs(resources={})) == {"num_cpus": 0, "num_gpus": 0}
