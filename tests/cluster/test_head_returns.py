"""Fault tolerance of Ray's GCS: the head goes and comes back, the rest goes on meanwhile."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.client import Client
from tests.cluster.by_hand import SERVICES, Cluster, inline
from tests.cluster.faults import ROW, begun, checkpointed, predicting, report, trained
from tests.cluster.load import eventually
from tests.cluster.machines import lacking, machines

logger = logging.getLogger(__name__)

REDIS, PORT = "redis-server", 6390
pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(lacking()), reason=lacking()),
]
needs_redis = pytest.mark.skipif(not shutil.which(REDIS), reason=f"needs the program {REDIS}")

ITERATIONS = 4_000


@pytest.fixture(params=["rocksdb", pytest.param("redis", marks=needs_redis)])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A head whose Ray keeps what it knows, and another machine, on which the edge is.

    In files that the new head has too, or in a Redis on a third machine. The API is that of
    `serve deploy`.
    """
    with machines(3, tmp_path / "machines") as found:
        head, other, third = found
        keeping = f"RAY_gcs_storage=rocksdb RAY_gcs_storage_path={tmp_path / 'gcs'}"
        if request.param == "redis":
            keeping = f"RAY_REDIS_ADDRESS={third.address}:{PORT}"
        cluster = Cluster([head, other], for_head=f"export {keeping}")
        command = f"{REDIS} --protected-mode no --port {PORT} --dir {tmp_path}"
        try:
            if request.param == "redis":
                cluster.run_until(third, command, "Ready to accept connections")
            cluster.start_ray()
            _, deploy, edge = inline("Instead of")
            head.do(cluster.in_environment(deploy))
            cluster.run_until(other, cluster.in_environment(edge), "listens on")
            cluster.url = f"http://{other.address}:8081"
            yield cluster
        finally:
            third.switch_off()
            cluster.close()


def test_the_head_returns(cluster: Cluster, tmp_path: Path, iris_csv: str) -> None:
    """A service elsewhere predicts all the time; a training ends; all that there was is there."""
    head, other = cluster.machines
    with httpx.Client(base_url=cluster.url, headers=cluster.headers, timeout=120) as http:
        wire = Client(http)
        names = []
        for name in SERVICES:
            names.append(name)
            trained(wire, name, tmp_path / name, iris_csv)
            if cluster.where(name) is other:
                break
        assert cluster.where(names[-1]) is other
        begun(wire, "t", tmp_path / "t", iris_csv, iterations=ITERATIONS)
        eventually(lambda: checkpointed(tmp_path / "t"))
        with predicting(cluster.url, names[-1], cluster.headers) as load:
            began = time.monotonic()
            head.switch_off()
            load.more(20)
            head.switch_on()
            cluster.start_head()
            eventually(lambda: answers(http, "/info"), within_s=120)
            logger.info("the API is back %.0f s after the head went", time.monotonic() - began)
            services = http.get("/info").json()["head"]["services"]
            assert {each["name"] for each in services} == {*names, "t"}
            measure = report(wire, "t", within_s=300)["body"]["measure"]
            assert measure["iteration"] == ITERATIONS - 1
            eventually(lambda: all(wire.predict(name, ROW)[0] == 200 for name in names))
            load.more(20)
        assert set(load.statuses) == {200}, load.failures[:3]


def answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
