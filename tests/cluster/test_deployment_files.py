"""Files for Ray's own tools: Serve's config file and the cluster launcher's."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from dd_ray.cluster.api_app import APP_NAME, api_app
from dd_ray.cluster.flags import serve_flags
from dd_ray.registry import load
from tests.conftest import SetSettings

ROOT = Path(__file__).parents[2]


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


def cloud() -> dict[str, Any]:
    """cluster.yaml changed as it says: the commented lines instead of `provider`."""
    text = (ROOT / "cluster.yaml").read_text()
    text = re.sub(r"^provider:\n(  .*\n)+", "", text, flags=re.MULTILINE)
    commented = re.compile(r"^#provider:\n(#.*\n)+", flags=re.MULTILINE)
    content: dict[str, Any] = yaml.safe_load(
        commented.sub(lambda found: re.sub(r"^#", "", found[0], flags=re.MULTILINE), text)
    )
    return content


def test_serve_accepts_its_config_file() -> None:
    config = ServeDeploySchema.model_validate(read("deployments/serve.yaml"))
    (application,) = config.applications
    assert application.name == APP_NAME
    assert application.route_prefix == "/"
    assert load(application.import_path) is api_app
    built = api_app({"insecure": True})
    assert [deployment.name for deployment in application.deployments] == [
        built._bound_deployment.name
    ]


def test_serve_deploys_no_api_that_anybody_could_use(set_settings: SetSettings) -> None:
    set_settings(api_key="")
    with pytest.raises(ValueError, match="DD_RAY_API_KEY is not set"):
        api_app()


def test_the_launcher_accepts_machines_that_are_there() -> None:
    config = prepare_config(read("cluster.yaml"))
    validate_config(config)
    assert config["provider"]["type"] == "local"
    assert config["max_workers"] == len(config["provider"]["worker_ips"]) == 2


def test_the_launcher_accepts_the_pool_of_a_cloud() -> None:
    config = prepare_config(cloud())
    validate_config(config)
    assert config["provider"]["type"] == "aws"
    pool = config["available_node_types"]["gpu"]
    assert (pool["min_workers"], pool["max_workers"]) == (0, config["max_workers"]) == (0, 4)
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}


@dataclass(frozen=True, slots=True)
class Started:
    """What the last command that starts a node runs."""

    arguments: list[str]
    env: dict[str, str]


@pytest.fixture(params=["head", "worker"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Started]:
    """The start of a node of cluster.yaml, on a machine where `ray` only says how it was called."""
    binary = tmp_path / "dd-ray-venv" / "bin" / "ray"
    binary.parent.mkdir(parents=True)
    binary.write_text('#!/bin/sh\necho "$@"\nenv\n')
    binary.chmod(0o755)
    (tmp_path / ".dd-ray.env").write_text("DD_RAY_API_KEY=secret\n")
    command = read("cluster.yaml")[f"{request.param}_start_ray_commands"][-1]
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_HEAD_IP": "10.0.0.1"}
    ran = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, check=True
    )
    arguments, *lines = ran.stdout.splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line)
    return request.param, Started(arguments.split(), given)


def test_every_node_of_a_cluster_starts_with_the_flags(node: tuple[str, Started]) -> None:
    _, started = node
    expected = serve_flags({})
    assert set(expected) <= set(started.env)
    fixed = {name: value for name, value in expected.items() if not name.endswith("_PORT")}
    assert {name: started.env[name] for name in fixed} == fixed
    assert int(started.env["RAY_JOB_STOP_WAIT_TIME_S"]) > 3  # Ray's default, too short to save


def test_a_node_that_is_started_by_hand_has_the_same_flags(node: tuple[str, Started]) -> None:
    lines = (ROOT / "deployments" / "ray.env").read_text().splitlines()
    flags = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert set(serve_flags({})) <= set(flags)
    assert flags.items() <= node[1].env.items()


def test_every_node_of_a_cluster_has_its_token_and_the_settings(
    node: tuple[str, Started],
) -> None:
    _, started = node
    assert started.env["DD_RAY_API_KEY"] == "secret"
    assert read("cluster.yaml")["file_mounts"].keys() == {"~/.ray/auth_token", "~/.dd-ray.env"}


def test_the_nodes_of_a_cluster_find_each_other(node: tuple[str, Started]) -> None:
    name, started = node
    if name == "head":  # without its configuration it starts no workers
        config = f"--autoscaling-config={started.env['HOME']}/ray_bootstrap_config.yaml"
        expected = ["start", "--head", "--port=6379", config]
    else:
        expected = ["start", "--address=10.0.0.1:6379"]
    assert [word.replace("=~", f"={started.env['HOME']}") for word in started.arguments] == expected


def test_jobs_on_a_cluster_find_the_command(node: tuple[str, Started]) -> None:
    """`ray job submit -- dd-ray train` runs with the environment of the head."""
    _, started = node
    assert started.env["PATH"].split(":")[0] == f"{started.env['HOME']}/dd-ray-venv/bin"
