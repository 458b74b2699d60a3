"""One server on a Ray of its own, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.client import Client
from tests.cluster.servers import Server, running


@pytest.fixture(scope="session")
def server_and_url() -> Iterator[tuple[Server, str]]:
    with running() as pair:
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
