"""A service whose number of replicas follows its calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.client import Client
from tests.cluster.faults import INPUT, ROW, predicting, processes
from tests.cluster.load import Load, eventually
from tests.cluster.servers import Server

pytestmark = pytest.mark.ray


def test_there_are_more_and_less_again_and_no_call_fails(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    server, url = server_and_url
    ml = {"nclasses": 3, "replicas": {"min": 1, "max": 2}, "resources": {"num_cpus": 0.1}}
    assert wire.create("many", str(tmp_path), mllib=ml)[0] == 201
    assert wire.train("many", iris_csv, input=INPUT, mllib={"iterations": 5})[0] == 201

    def replicas() -> int:
        return len(processes(server, "ServeReplica:s-many"))

    assert replicas() == 1
    with predicting(url, "many") as few:
        call = ("POST", "/predict", {"service": "many", "data": [ROW] * 50})
        with Load(url, [call], clients=8) as load:
            eventually(lambda: replicas() == 2)
            load.more(100)
        few.more(20)
        eventually(lambda: replicas() == 1)
        few.more(20)
    assert set(load.statuses) == set(few.statuses) == {200}, load.failures + few.failures
