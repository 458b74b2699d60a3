"""The files that people start a cluster from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from dd_ray.cluster.api_app import APP_NAME, api_app
from dd_ray.cluster.flags import serve_flags
from dd_ray.registry import load

ROOT = Path(__file__).parents[2]


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


def test_serve_accepts_its_config_file() -> None:
    config = ServeDeploySchema.model_validate(read("deployments/serve.yaml"))
    (application,) = config.applications
    assert application.name == APP_NAME
    assert application.route_prefix == "/"
    assert load(application.import_path) is api_app
    built = api_app({})
    assert [deployment.name for deployment in application.deployments] == [
        built._bound_deployment.name
    ]


@pytest.mark.parametrize("node", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_of_a_cluster_starts_with_the_flags(node: str) -> None:
    command = read("cluster.yaml")[node][-1]
    given = dict(word.split("=", 1) for word in command.split() if word.startswith("RAY_"))
    expected = serve_flags({})
    assert set(given) == set(expected)
    fixed = {name: value for name, value in expected.items() if not name.endswith("_PORT")}
    assert {name: given[name] for name in fixed} == fixed
