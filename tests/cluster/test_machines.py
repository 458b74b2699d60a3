"""What README.md says of a cluster, done on three machines, of which one is then cut off."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.demo import write_wine
from tests.api.client import Client
from tests.cluster.by_hand import SERVICES, Cluster, commands, inline, runs_on
from tests.cluster.faults import (
    INPUT,
    ROW,
    begun,
    checkpointed,
    predicting,
    predictions,
    report,
    trained,
)
from tests.cluster.load import eventually
from tests.cluster.machines import ROOT, Machine, lacking, machines

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.ray, pytest.mark.skipif(bool(lacking()), reason=lacking())]

ITERATIONS = 3_000
"""Of a training that is not done before its machine is switched off."""
WINE = "14.2,1.7,2.4,15.6,127,2.8,3.1,0.28,2.3,5.6,1.04,3.9,1065"
SETTINGS = {
    # a machine counts as lost after 15 s, and not after Ray's 65 s
    "RAY_health_check_period_ms": 1000,
    "RAY_health_check_timeout_ms": 2000,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with machines(3, tmp_path_factory.mktemp("machines")) as found:
        cluster = Cluster(found, SETTINGS)
        cluster.start_ray()
        cluster.serve()
        yield cluster
        cluster.close()


def test_a_machine_is_cut_off(cluster: Cluster, tmp_path: Path, iris_csv: str) -> None:
    """Its services move; calls of others do not fail. Its Ray ends when it is joined again."""
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        assert httpx.post(f"{cluster.url}/predict", json={}).status_code == 401
        at: dict[str, Machine] = {}
        for name in SERVICES:
            assert wire.create(name, str(tmp_path / "m"), mllib={"nclasses": 3})[0] == 201
            if name == SERVICES[0]:
                done = wire.train(name, iris_csv, input=INPUT, mllib={"iterations": 5})
                assert done[0] == 201, done
            at[name] = cluster.where(name)
            if len(set(at.values())) > 1:
                break
        logger.info("the services are at %s", {name: each.address for name, each in at.items()})
        head = cluster.machines[0]
        moving = next(name for name, machine in at.items() if machine is not head)
        staying = next(name for name, machine in at.items() if machine is not at[moving])
        with predicting(cluster.url, staying, cluster.headers) as load:
            began = time.monotonic()
            at[moving].cut()
            eventually(lambda: predicted(wire, moving), within_s=300)
            logger.info("the service has moved after %.0f s", time.monotonic() - began)
            assert cluster.where(moving) is not at[moving]
            at[moving].join()
            eventually(lambda: not runs_on(at[moving], "raylet/raylet"))
            load.more(20)
        assert set(load.statuses) == {200}


def test_the_head_is_switched_off(cluster: Cluster, tmp_path: Path, iris_csv: str) -> None:
    """All services are back with their models, and a training goes on."""
    names = [f"h{number}" for number in range(3)]
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        for name in names:
            trained(wire, name, tmp_path / name, iris_csv)
        before = [predictions(wire, name, iris_csv) for name in names]
        begun(wire, "t", tmp_path / "t", iris_csv, iterations=ITERATIONS)
        done = eventually(lambda: checkpointed(tmp_path / "t"))
        cluster.machines[0].switch_off()
        with pytest.raises(httpx.TransportError):
            http.get("/info", timeout=5)
    cluster.restart()
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        measure = report(wire, "t", within_s=300)["body"]["measure"]
        assert measure["iteration"] == ITERATIONS - 1 > done
        eventually(lambda: all(predicted(wire, name) for name in names), within_s=300)
        assert [predictions(wire, name, iris_csv) for name in names] == before


def test_a_job_and_an_edge_on_another_machine(cluster: Cluster, tmp_path: Path) -> None:
    """The server serves the model that the job left; so does the API when Serve deploys it."""
    head, other, _ = cluster.machines
    write_wine(tmp_path / "wine.csv")
    shutil.copy(ROOT / "examples" / "wine.json", tmp_path / "call.json")
    (_, environment, submit, create) = commands("training as a Ray job")
    model = tmp_path / "shared" / "wine"
    for_job = "\n".join([f"cd {tmp_path}", environment, submit, create])
    said = head.do(
        cluster.in_environment(
            for_job.replace("/shared/wine", str(model)).replace("HEAD", head.address)
        )
    )
    assert "wine job 1: finished" in said
    assert said.endswith("wine: created\n")
    assert grower(cluster, cluster.url) == "grower-A"
    _, deploy, edge = inline("Instead of")
    cluster.stop_serving()
    head.do(cluster.in_environment(f"serve shutdown --yes\n{deploy}"))
    cluster.run_until(other, cluster.in_environment(edge), "listens on")
    assert eventually(lambda: grower(cluster, f"http://{other.address}:8081")) == "grower-A"


def grower(cluster: Cluster, url: str) -> str:
    """Who the service `wine` says has grown a wine; empty while it does not answer."""
    call = {"service": "wine", "data": [WINE]}
    answer = httpx.post(f"{url}/predict", json=call, headers=cluster.headers, timeout=60)
    if answer.status_code != 200:
        return ""
    return str(answer.json()["body"]["predictions"][0]["classes"][0]["cat"])


def predicted(wire: Client, name: str) -> bool:
    try:
        return wire.predict(name, ROW)[0] == 200
    except httpx.TimeoutException:
        return False
