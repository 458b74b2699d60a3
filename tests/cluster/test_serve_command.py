"""Starting and stopping `dd-ray serve`, and every way in which it cannot start."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import httpx
import pytest

from dd_ray.cluster.flags import free_port, serve_flags
from dd_ray.cluster.ray_start import _check_answers
from tests.api.client import Client
from tests.cluster.servers import ray_head, refused, running

pytestmark = pytest.mark.ray


def test_a_port_in_use_is_refused_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        (output,) = refused((["--port", port, "--ray-address", "local"], {}))
    assert f"dd-ray: cannot listen on 127.0.0.1:{port}: address already in use" in output


def test_a_ray_that_is_not_there_or_half_up_is_refused() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        half_up = f"127.0.0.1:{silent.getsockname()[1]}"
        outputs = refused((["--ray-address", nowhere], {}), (["--ray-address", half_up], {}))
    assert f"dd-ray: no Ray at {nowhere}: nothing listens there" in outputs[0]
    assert f"dd-ray: the Ray at {half_up} does not answer" in outputs[1]


def test_a_running_ray_is_joined_by_one_server_and_outlives_it(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp") as folder:
        flags = serve_flags({})
        with ray_head(Path(folder), flags) as address:
            with running("--ray-address", address, env=flags) as (server, url):
                with httpx.Client(base_url=url, timeout=60) as http:
                    client = Client(http)
                    client.create("s", str(tmp_path), mllib={"nclasses": 2})
                    assert client.train("s", "a,y\n1,0\n2,1", input={"label": "y"})[0] == 201
                    assert client.predict("s", "1")[0] == 200
                (output,) = refused((["--ray-address", address], {}))
                assert "a dd-ray is running on the Ray at" in output
                assert httpx.get(f"{url}/info").status_code == 200
                assert server.stop() == 0
            _check_answers(address)
            with running("--ray-address", address, env=flags) as (_, url):  # at another port
                assert httpx.get(f"{url}/info").status_code == 200


def test_a_ray_without_the_flags_is_refused() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp") as folder,
        ray_head(Path(folder), {}) as address,
    ):
        (output,) = refused((["--ray-address", address], {}))
    assert "was started without the flags that dd-ray needs" in output
    assert "RAY_SERVE_ENABLE_HA_PROXY=1" in output
