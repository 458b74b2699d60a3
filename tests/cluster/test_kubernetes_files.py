"""The Kubernetes manifests: KubeRay's and Kubernetes' schemas, and what dd-ray needs of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

from dd_ray.cli.app import app
from dd_ray.cli.call_file import parse_calls
from dd_ray.cluster.flags import serve_flags
from dd_ray.services.definition import define
from dd_ray.settings import Settings
from tests.cluster.kuberay import RayCluster, RayJob, RayService

FOLDER = Path(__file__).parents[2] / "deployments" / "kuberay"
FILES = sorted(FOLDER.glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def service() -> RayService:
    return RayService.model_validate(documents(FOLDER / "rayservice.yaml")[0])


def job() -> tuple[dict[str, Any], RayJob]:
    """The call that the job trains, and the job."""
    calls, found = documents(FOLDER / "rayjob.yaml")
    return json.loads(calls["data"]["call.json"]), RayJob.model_validate(found)


CLUSTERS = {"service": service().cluster, "job": job()[1].cluster}


def pods(cluster: RayCluster) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "head", cluster.headGroupSpec.template
    for group in cluster.workerGroupSpecs:
        yield group.groupName, group.template


HEAD = CLUSTERS["service"].headGroupSpec.template
NODES = [
    pytest.param(cluster, pod, id=f"{name}-{node}")
    for name, cluster in CLUSTERS.items()
    for node, pod in pods(cluster)
]


def container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["containers"][0]
    return found


ENVIRONMENT: dict[str, str] = documents(FOLDER / "environment.yaml")[0]["data"]


def secrets(of: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Secret and key by variable of a container."""
    return {
        item["name"]: (reference["name"], reference["key"])
        for item in of.get("env", [])
        if (reference := item["valueFrom"].get("secretKeyRef"))
    }


def valid(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, "1.33", strict=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_kubernetes_accepts_what_is_its_own(path: Path) -> None:
    for resource in documents(path):
        if resource["apiVersion"] != "ray.io/v1":
            valid(resource)


@pytest.mark.parametrize(("cluster", "pod"), NODES)
def test_kubernetes_accepts_the_pod_of_every_node(cluster: RayCluster, pod: dict[str, Any]) -> None:
    metadata = {"name": "node"} | pod.get("metadata", {})
    valid({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]})


def test_the_environment_is_the_flags_and_settings() -> None:
    flags = {name: value for name, value in ENVIRONMENT.items() if name.startswith("RAY_")}
    settings = {name: value for name, value in ENVIRONMENT.items() if name not in flags}
    assert int(flags.pop("RAY_JOB_STOP_WAIT_TIME_S")) > 3  # Ray's default, too short to save
    expected = serve_flags({})
    assert set(flags) == set(expected)
    fixed = {name: value for name, value in expected.items() if not name.endswith("_PORT")}
    assert {name: flags[name] for name in fixed} == fixed
    assert {name.removeprefix("DD_RAY_").lower() for name in settings} <= set(Settings.model_fields)
    assert [str(root) for root in Settings.from_env(settings).roots] == ["/models", "/data"]


@pytest.mark.parametrize(("cluster", "pod"), NODES)
def test_every_node_has_the_environment(cluster: RayCluster, pod: dict[str, Any]) -> None:
    name = documents(FOLDER / "environment.yaml")[0]["metadata"]["name"]
    for each in pod["spec"]["containers"]:
        assert each["envFrom"] == [{"configMapRef": {"name": name}}]
        assert not set(ENVIRONMENT) & {item["name"] for item in each.get("env", [])}


def test_every_process_of_the_server_has_its_key_and_every_ray_a_token() -> None:
    for _, pod in pods(CLUSTERS["service"]):
        for each in pod["spec"]["containers"]:
            assert secrets(each)["DD_RAY_API_KEY"] == ("dd-ray", "api_key")
    for cluster in CLUSTERS.values():
        assert (cluster.authOptions.mode, cluster.authOptions.secretName) == ("token", "dd-ray")


@pytest.mark.parametrize(("cluster", "pod"), NODES)
def test_every_node_mounts_the_shared_folders_and_nothing_that_is_not_there(
    cluster: RayCluster, pod: dict[str, Any]
) -> None:
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = [mount for each in pod["spec"]["containers"] for mount in each["volumeMounts"]]
    assert {mount["name"] for mount in mounts} == set(volumes)
    claims = {resource["metadata"]["name"] for resource in documents(FOLDER / "storage.yaml")}
    shared = {
        mount["mountPath"]: volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
        for mount in container(pod)["volumeMounts"]
        if "persistentVolumeClaim" in volumes[mount["name"]]
    }
    assert set(shared.values()) == claims
    assert set(ENVIRONMENT["DD_RAY_ROOTS"].split(":")) <= set(shared)


def test_the_state_of_the_server_is_kept_by_the_head_where_calls_cannot_reach() -> None:
    dockerfile = (FOLDER.parent / "Dockerfile").read_text()
    home = re.search(r"DD_RAY_HOME=(\S+)", dockerfile)
    assert home is not None
    mounts = container(HEAD)["volumeMounts"]
    kept = {mount["mountPath"]: mount["subPath"] for mount in mounts if mount["name"] == "models"}
    assert set(kept) == {"/models", home[1]}
    assert len(set(kept.values())) == 2
    assert not home[1].startswith(tuple(ENVIRONMENT["DD_RAY_ROOTS"].split(":")))


@pytest.mark.parametrize(("cluster", "pod"), NODES)
def test_nothing_runs_as_root(cluster: RayCluster, pod: dict[str, Any]) -> None:
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    for each in pod["spec"]["containers"]:
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_gpus_go_with_the_image_that_can_use_them(cluster: RayCluster) -> None:
    assert cluster.rayVersion == ray.__version__
    for group, pod in pods(cluster):
        has_gpu = "nvidia.com/gpu" in container(pod)["resources"]["limits"]
        assert has_gpu == (group == "gpu")
        assert container(pod)["image"] == ("dd-ray:cuda" if has_gpu else "dd-ray:cpu")
        assert has_gpu == ("tolerations" in pod["spec"])
    for group in cluster.workerGroupSpecs:
        assert group.minReplicas <= group.replicas <= group.maxReplicas
    assert cluster.headGroupSpec.rayStartParams == {"num-cpus": "0"}


def test_the_service_serves_what_serve_yaml_does() -> None:
    config = yaml.safe_load(service().spec.serveConfigV2)
    ServeDeploySchema.model_validate(config)
    ports = {port["name"]: port["containerPort"] for port in container(HEAD)["ports"]}
    assert config["http_options"] == {"host": "0.0.0.0", "port": ports["serve"]}
    alone = yaml.safe_load((FOLDER.parent / "serve.yaml").read_text())
    assert config | {"http_options": None} == alone | {"http_options": None}
    assert service().spec.upgradeStrategy.type == "None"


def test_the_edge_joins_the_ray_of_its_pod() -> None:
    _, edge = HEAD["spec"]["containers"]
    program, command, *words = edge["command"]
    assert (program, command) == ("dd-ray", "edge")
    options = dict(zip(words[::2], words[1::2], strict=True))
    ports = {port["name"]: port["containerPort"] for port in container(HEAD)["ports"]}
    assert options["--ray-address"] == f"$(POD_IP):{ports['gcs-server']}"
    assert "POD_IP" in {item["name"] for item in edge["env"]}
    assert secrets(edge)["RAY_AUTH_TOKEN"] == ("dd-ray", "auth_token")
    # a process that joins has the files and the memory of its node
    assert [mount["mountPath"] for mount in edge["volumeMounts"]] == ["/tmp/ray", "/dev/shm"]
    assert all(mount in container(HEAD)["volumeMounts"] for mount in edge["volumeMounts"])


def test_the_edge_and_nothing_else_is_what_others_reach() -> None:
    _, edge = HEAD["spec"]["containers"]
    assert edge["command"][2:6] == ["--host", "0.0.0.0", "--port", "8080"]
    assert edge["ports"] == [{"name": "api", "containerPort": 8080}]
    assert edge["readinessProbe"]["httpGet"]["port"] == "api"
    opened = documents(FOLDER / "rayservice.yaml")[1]["spec"]
    assert [port["targetPort"] for port in opened["ports"]] == ["api"]
    reached = [
        name
        for name, pod in pods(CLUSTERS["service"])
        if opened["selector"].items() <= pod["metadata"]["labels"].items()
    ]
    assert reached == ["head"]
    (policy,) = documents(FOLDER / "network-policy.yaml")
    assert policy["spec"]["ingress"][-1] == {"ports": [{"port": 8080}]}


def test_the_network_policy_is_about_the_nodes_of_the_service() -> None:
    (policy,) = documents(FOLDER / "network-policy.yaml")
    selected = policy["spec"]["podSelector"]["matchLabels"]
    assert policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == selected
    for _, pod in pods(CLUSTERS["service"]):
        assert pod["metadata"]["labels"].items() >= selected.items()


def test_the_job_trains_a_call_that_it_mounts() -> None:
    content, found = job()
    calls = parse_calls(content)
    assert calls.creation is not None
    assert calls.training is not None
    definition, model = define(calls.service, calls.creation)
    assert definition.effective(calls.training["parameters"]).mllib.gpus == 1
    head = found.cluster.headGroupSpec.template
    roots = ENVIRONMENT["DD_RAY_ROOTS"].split(":")
    for path in (model.repository, *calls.training["data"]):
        assert path.startswith(tuple(f"{root}/" for root in roots))
    mounts = {mount["name"]: mount["mountPath"] for mount in container(head)["volumeMounts"]}
    assert found.spec.entrypoint == f"dd-ray train {mounts['calls']}/call.json"
    volumes = {volume["name"]: volume for volume in head["spec"]["volumes"]}
    config_map = documents(FOLDER / "rayjob.yaml")[0]["metadata"]["name"]
    assert volumes["calls"]["configMap"]["name"] == config_map


def test_the_commands_of_the_manifests_are_commands() -> None:
    commands = {found.name for found in app.registered_commands}
    assert HEAD["spec"]["containers"][1]["command"][1] in commands
    assert job()[1].spec.entrypoint.split()[1] in commands
