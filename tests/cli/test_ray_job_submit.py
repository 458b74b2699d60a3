"""`ray job submit -- dd-ray train` and `serve deploy`: a real head with Ray's dashboard."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import yaml

from dd_ray.cluster.flags import free_port, serve_flags
from tests.cli.conftest import WriteCalls
from tests.cluster.servers import ray_head

pytestmark = pytest.mark.ray

EXAMPLES = Path(__file__).parents[2] / "examples"
SAVE_S = "60"
KEY = "k" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray head, its dashboard, and the environment of those who use it."""

    address: str
    dashboard: str
    env: dict[str, str]

    def start(self, *command: str, folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=self.env,
        )

    def call(self, *command: str, folder: Path) -> tuple[int, str]:
        process = self.start(*command, folder=folder)
        output, _ = process.communicate(timeout=180)
        return process.returncode, output


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    port = free_port()
    dashboard = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp") as folder:
        env = serve_flags({}) | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_JOB_STOP_WAIT_TIME_S": SAVE_S,
            "RAY_API_SERVER_ADDRESS": dashboard,
            "DD_RAY_API_KEY": KEY,
            "DD_RAY_HOME": f"{folder}/home",
        }
        options = [
            "--include-dashboard=true",
            f"--dashboard-port={port}",
            f"--dashboard-agent-listen-port={free_port()}",
        ]
        with ray_head(Path(folder), env, *options) as address:
            cluster = Cluster(address=address, dashboard=dashboard, env=os.environ | env)
            wait_for_job_server(cluster)
            yield cluster


def wait_for_job_server(cluster: Cluster) -> None:
    """The head listens a few seconds before it takes jobs."""
    for _ in range(60):
        if cluster.call("ray", "job", "list", folder=Path("/tmp"))[0] == 0:
            return
    raise AssertionError("the job server did not start")


SUBMIT = ("ray", "job", "submit", "--working-dir", ".")


def test_the_example_trains_without_a_server_and_a_server_serves_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its data is relative to the folder that is sent along. The server is that of serve.yaml."""
    model = tmp_path / "model"
    code, output = cluster.call(str(EXAMPLES / "ray_job.sh"), str(model), folder=EXAMPLES)
    assert code == 0, output
    assert "wine job 1: " in output
    assert "wine job 1: finished" in output
    assert f"model: {model}" in output
    assert (model / "0100.model").exists()

    with deployed(cluster, tmp_path) as url:
        options = ("--address", url)
        create = ("dd-ray", "create", "wine.json", "--repository", str(model), *options)
        assert cluster.call(*create, folder=EXAMPLES) == (0, "wine: created\n")
        row = "14.2,1.7,2.4,15.6,127,2.8,3.1,0.28,2.3,5.6,1.04,3.9,1065"
        code, output = cluster.call("dd-ray", "predict", "wine", row, *options, folder=EXAMPLES)
        assert code == 0, output
        assert output.splitlines()[1].split()[1] == "grower-A"


@contextmanager
def deployed(cluster: Cluster, folder: Path) -> Iterator[str]:
    """The URL of an edge before what `serve deploy deployments/serve.yaml` starts."""
    config = yaml.safe_load((EXAMPLES.parent / "deployments" / "serve.yaml").read_text())
    port, public = free_port(), str(free_port())
    config["http_options"]["port"] = port
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump(config))
    deploy = ("serve", "deploy", "--address", cluster.dashboard, str(path))
    assert cluster.call(*deploy, folder=folder)[0] == 0
    wait_for_api(f"http://127.0.0.1:{port}")
    options = ("--port", public, "--ray-address", cluster.address)
    edge = cluster.start("dd-ray", "edge", "--host", "0.0.0.0", *options, folder=folder)
    assert edge.stdout is not None
    try:
        assert "listens on" in edge.stdout.readline()
        yield f"http://127.0.0.1:{public}"
    finally:
        edge.terminate()
        edge.communicate(timeout=60)


def wait_for_api(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/info", headers={"Authorization": f"Bearer {KEY}"}).is_success:
                return
        time.sleep(0.1)
    raise AssertionError("the API did not start")


def test_a_failed_training_fails_the_job(
    cluster: Cluster, tmp_path: Path, write_calls: WriteCalls
) -> None:
    path = write_calls(nclasses=2)
    code, output = cluster.call(*SUBMIT, "--", "dd-ray", "train", "call.json", folder=tmp_path)
    assert code == 1, path
    assert "dd-ray: Service Input Error: " in output
    assert "label 2 of column target is not a class" in output


def test_a_repository_that_ray_would_remove_is_refused(
    cluster: Cluster, tmp_path: Path, write_calls: WriteCalls
) -> None:
    path = Path(write_calls())
    path.write_text(path.read_text().replace(str(tmp_path / "model"), "model"))
    code, output = cluster.call(*SUBMIT, "--", "dd-ray", "train", "call.json", folder=tmp_path)
    assert code == 1
    assert "model.repository: 'model' lies in the job's working folder" in output


def test_a_training_joins_the_ray_of_the_environment(
    cluster: Cluster, tmp_path: Path, write_calls: WriteCalls, iris_csv: str
) -> None:
    """Its paths are relative to where the command runs, and the processes of that Ray are not."""
    path = Path(write_calls())
    shutil.copy(iris_csv, tmp_path / "rows.csv")
    path.write_text(path.read_text().replace(iris_csv, "rows.csv"))
    train = ("dd-ray", "train", "call.json", "--repository", "here")
    joined = replace(cluster, env=cluster.env | {"RAY_ADDRESS": cluster.address})
    code, output = joined.call(*train, folder=tmp_path)
    assert code == 0, output
    assert (tmp_path / "here" / "0005.model").exists()


def test_a_stopped_job_has_saved(cluster: Cluster, tmp_path: Path, write_calls: WriteCalls) -> None:
    write_calls(iterations=1_000_000, test_interval=1_000_000)
    process = cluster.start(
        *SUBMIT, "--submission-id", "long", "--", "dd-ray", "train", "call.json", folder=tmp_path
    )
    assert process.stdout is not None
    seen = next((line for line in process.stdout if ": iteration " in line), None)
    assert seen
    code, output = cluster.call("ray", "job", "stop", "long", folder=tmp_path)
    assert code == 0, output
    assert "iris job 1: terminated" in process.communicate(timeout=60)[0]
    assert list((tmp_path / "model").glob("*.model"))
