"""Starting and stopping `dd-ray serve`, and every way in which it cannot start."""

from __future__ import annotations

import signal
import socket
import tempfile
from pathlib import Path

import httpx
import psutil
import pytest

from dd_ray.cluster.flags import free_port, serve_flags
from dd_ray.cluster.ray_start import _check_answers
from tests.api.client import Client
from tests.cluster.servers import Server, ray_head, running

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_file(number: signal.Signals) -> None:
    with running() as (server, url):
        assert httpx.get(f"{url}/info").status_code == 200
        children = server.children()
        assert any("haproxy" in child.name() for child in children)
        (folder,) = {
            argument.partition("=")[2].split("/session_")[0]
            for child in children
            for argument in child.cmdline()
            if argument.startswith("--session_dir=") or argument.startswith("--session-dir=")
        }
        assert Path(folder).exists()
        assert server.stop(number) == 0
        assert server.lines[-1] == "dd-ray stops"
    _, alive = psutil.wait_procs(children, 5)
    assert alive == []
    assert not Path(folder).exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/info")


def refused(*arguments: str) -> str:
    server = Server(*arguments)
    assert server.wait() == 1, server.output
    assert server.stop() == 1
    return server.output


def test_a_port_in_use_is_refused_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        output = refused("--port", port, "--ray-address", "local")
    assert f"dd-ray: cannot listen on 127.0.0.1:{port}: address already in use" in output


def test_a_ray_that_is_not_there_or_half_up_is_refused() -> None:
    port = free_port()
    nowhere = f"127.0.0.1:{port}"
    output = refused("--port", str(free_port()), "--ray-address", nowhere)
    assert f"dd-ray: no Ray at {nowhere}: nothing listens there" in output
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        half_up = f"127.0.0.1:{silent.getsockname()[1]}"
        output = refused("--port", str(free_port()), "--ray-address", half_up)
    assert f"dd-ray: the Ray at {half_up} does not answer" in output


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
                output = refused("--port", str(free_port()), "--ray-address", address)
                assert "a dd-ray is running on the Ray at" in output
                assert httpx.get(f"{url}/info").status_code == 200
                assert server.stop() == 0
            _check_answers(address)


def test_a_ray_without_the_flags_is_refused() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp") as folder,
        ray_head(Path(folder), {}) as address,
    ):
        output = refused("--port", str(free_port()), "--ray-address", address)
    assert "was started without the flags that dd-ray needs" in output
    assert "RAY_SERVE_ENABLE_HA_PROXY=1" in output
