"""One server on a Ray of its own, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.client import Client
from tests.buckets import Bucket
from tests.cluster.faults import begun, model, report
from tests.cluster.servers import Server, running

SETTINGS = {
    "DD_RAY_CHECKPOINT_S": "0.5",
    "DD_RAY_JOB_RETRIES": "2",
    "DD_RAY_REPLICA_CALLS": "2",
    "DD_RAY_REPLICA_ADD_S": "0",
    "DD_RAY_REPLICA_DROP_S": "1",
}


@pytest.fixture(scope="session")
def shared_bucket(s3_server: str) -> Bucket:
    """The bucket that the server may use."""
    return Bucket(s3_server, "shared")


@pytest.fixture(scope="session")
def server_and_url(shared_bucket: Bucket) -> Iterator[tuple[Server, str]]:
    roots = {"DD_RAY_ROOTS": f"/:{shared_bucket.url}"}
    with running(env=SETTINGS | shared_bucket.env | roots) as pair:
        yield pair


@pytest.fixture
def wire(server_and_url: tuple[Server, str]) -> Iterator[Client]:
    """A client over the wire; what it created is deleted afterwards."""
    _, url = server_and_url
    with httpx.Client(base_url=url, timeout=120) as http:
        client = Client(http)
        yield client
        for service in client.call("GET", "/info")[1]["head"]["services"]:
            client.call("DELETE", f"/services/{service['name']}")


@pytest.fixture(scope="session")
def unbroken(
    server_and_url: tuple[Server, str], iris_csv: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, bytes]:
    """The report and the model of the training that tests of faults interrupt."""
    path = tmp_path_factory.mktemp("unbroken")
    with httpx.Client(base_url=server_and_url[1], timeout=120) as http:
        wire = Client(http)
        begun(wire, "unbroken", path, iris_csv)
        answer = report(wire, "unbroken")
        assert answer["head"]["status"] == "finished"
        assert wire.call("DELETE", "/services/unbroken")[0] == 200
    return answer, model(path)
