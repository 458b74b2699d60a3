"""The edge of a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from dd_ray.cluster.flags import free_port
from tests.api.client import Client
from tests.cluster.edges import needs_haproxy
from tests.cluster.load import eventually
from tests.cluster.servers import Server
from tests.cluster.upstream import upstream

pytestmark = [pytest.mark.ray, needs_haproxy]

JOINING = {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What a process needs that joins the Ray of a server, which is on loopback alone."""

REGISTER = """
import sys
import ray
from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.remote_state import RemoteState, find_state

address, service, port, goes_on = sys.argv[1:]
ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="error")
state = RemoteState(find_state())
ray.get(state.tell_endpoint(service, "a", "127.0.0.1", int(port), ""))
if not goes_on:
    ray.get(state.tell_endpoint_left(service, "a"))
"""


def haproxies(server: Server) -> dict[psutil.Process, str]:
    """The configuration files of its HAProxies, the edge's and those of Serve."""
    found = {}
    for process, words in server.commands().items():
        if words and Path(words[0]).name == "haproxy":
            found[process] = words[words.index("-f") + 1]
    return found


def edge_of(server: Server) -> psutil.Process:
    """The HAProxy that the server itself started, not Ray."""
    (found,) = [process for process in haproxies(server) if process.ppid() == server.process.pid]
    return found


def ray_of(server: Server) -> str:
    """The address of a server's own Ray."""
    (address,) = {
        word.partition("=")[2]
        for words in server.commands().values()
        for word in words
        if word.startswith("--gcs-address=")
    }
    return address


def register(server: Server, service: str, port: int, *, goes_on: bool = True) -> None:
    """What a replica tells the state."""
    arguments = [ray_of(server), service, str(port), "yes" if goes_on else ""]
    subprocess.run(
        [sys.executable, "-c", REGISTER, *arguments], check=True, env=os.environ | JOINING
    )


def test_a_replica_that_says_where_it_listens_is_called_there(
    server_and_url: tuple[Server, str],
) -> None:
    server, url = server_and_url
    with upstream("replica") as replica, httpx.Client(base_url=url, timeout=120) as http:
        register(server, "told", replica.port)
        content = json.dumps({"service": "Told"})
        eventually(lambda: "who" in http.post("/predict", content=content).json())
        answer = http.post("/predict/told", content="{}").json()
        assert answer["who"] == "replica"
        assert len(answer["headers"]["x-dd-ray-key"]) > 20
        register(server, "told", replica.port, goes_on=False)
        eventually(lambda: http.post("/predict", content=content).status_code == 404)
    register(server, "told", replica.port)  # where nobody listens any more
    with httpx.Client(base_url=url, timeout=120) as http:
        assert http.post("/predict", content=content).json()["status"]["dd_code"] == 1002


def test_a_killed_edge_is_back_at_once(server_and_url: tuple[Server, str], wire: Client) -> None:
    server, url = server_and_url
    for _ in range(2):
        killed = edge_of(server)
        killed.kill()
        assert httpx.get(f"{url}/info", timeout=120).status_code == 200
        assert edge_of(server) != killed
    assert wire.call("GET", "/info")[0] == 200


def test_serve_and_its_proxies_are_reached_from_this_machine_only(
    server_and_url: tuple[Server, str],
) -> None:
    server, url = server_and_url
    edge = edge_of(server)
    ports = set()
    for process in haproxies(server):
        listening = [each for each in process.net_connections() if each.status == "LISTEN"]
        assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
        if process == edge:
            ports = {each.laddr.port for each in listening}
    assert ports == {urlsplit(url).port}


def test_an_edge_alone_stands_before_a_server_that_runs(
    server_and_url: tuple[Server, str],
) -> None:
    server, url = server_and_url
    port = free_port()
    arguments = ("--port", str(port), "--ray-address", ray_of(server))
    edge = Server(*arguments, command="edge", env=JOINING)
    edge.wait_until_listening()
    with upstream("replica") as replica:
        register(server, "both", replica.port)
        for base in (url, f"http://127.0.0.1:{port}"):
            with httpx.Client(base_url=base, timeout=120) as http:
                assert http.get("/info").json()["status"] == {"code": 200, "msg": "OK"}
                content = json.dumps({"service": "both"})
                eventually(lambda: "who" in http.post("/predict", content=content).json())  # noqa: B023
    children = list(haproxies(edge))
    assert len(children) == 1
    assert edge.stop() == 0
    assert edge.lines[-1] == "the edge stops"
    assert not children[0].is_running()
    assert httpx.get(f"{url}/info").status_code == 200


def test_an_edge_alone_needs_a_server() -> None:
    for address, said in (("local", "no Ray runs here"), ("127.0.0.1:1", "no Ray at 127.0.0.1:1")):
        edge = Server("--port", str(free_port()), "--ray-address", address, command="edge")
        assert edge.wait() == edge.stop() == 1
        assert said in edge.output
