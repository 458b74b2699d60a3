"""Health and numbers over the wire."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.api.client import Client
from tests.cluster.faults import ROW, trained
from tests.cluster.load import eventually
from tests.cluster.servers import Server

pytestmark = pytest.mark.ray


def test_numbers_of_a_running_server(
    server_and_url: tuple[Server, str], wire: Client, iris_csv: str, tmp_path: Path
) -> None:
    _, url = server_and_url
    trained(wire, "measured", tmp_path / "measured", iris_csv)
    answer = httpx.post(
        f"{url}/predict",
        json={"service": "measured", "data": [ROW]},
        headers={"x-request-id": "mine"},
        timeout=60,
    )
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")
    assert len(httpx.get(f"{url}/healthz", timeout=60).headers["x-request-id"]) > 20

    def shown() -> list[str]:
        return httpx.get(f"{url}/metrics", timeout=60).text.splitlines()

    eventually(lambda: 'dd_ray_predict_total{service="measured"} 1' in shown())
    eventually(lambda: any('route="/healthz",code="200"' in line for line in shown()))
    assert 'dd_ray_predict_batches_total{service="measured"} 1' in shown()
