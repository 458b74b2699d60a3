"""A server in this process, with a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dd_ray.api.app import build
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client
from tests.api.fake_server import FakeServer
from tests.api.routes import ROUTES, RoutedHttp


@pytest.fixture
def client() -> Iterator[Client]:
    http = AsgiHttp(build(local_server()))
    yield Client(http)
    http.close()


@pytest.fixture(params=ROUTES)
def routed(request: pytest.FixtureRequest, iris_csv: str, tmp_path: Path) -> Iterator[Client]:
    """The same as `trained`, once for each way that a predict call can take."""
    server = local_server()
    http = AsgiHttp(build(server))
    client = Client(RoutedHttp(http, server, request.param))
    make_flowers(client, iris_csv, tmp_path)
    yield client
    http.close()


@pytest.fixture
def trained(client: Client, iris_csv: str, tmp_path: Path) -> Client:
    """A client of a server with a service `flowers` that was trained on iris."""
    make_flowers(client, iris_csv, tmp_path)
    return client


def make_flowers(client: Client, iris_csv: str, tmp_path: Path) -> None:
    client.create("flowers", str(tmp_path / "flowers"), mllib={"nclasses": 3})
    code, _ = client.train(
        "flowers", iris_csv, mllib={"iterations": 3}, input={"label": "target", "id": "id"}
    )
    assert code == 201


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
def asking(fake: FakeServer) -> Iterator[Client]:
    """A client of the fake server."""
    http = AsgiHttp(build(fake))
    yield Client(http)
    http.close()
