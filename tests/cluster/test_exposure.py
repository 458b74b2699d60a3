"""What a running server opens to others, and what it refuses to open."""

from __future__ import annotations

import ipaddress
import os
import pickle
import socket
import tempfile
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from ray.serve.generated.serve_pb2 import ASGIRequest

from dd_ray.cluster.exposure import Exposed, check_key, check_ray, is_loopback, keep_token_private
from dd_ray.cluster.flags import serve_flags
from tests.api.client import Client
from tests.cluster.servers import Server, ray_head, refused, running, session_folder
from tests.conftest import SetSettings

KEY = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_key(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.2", "10.0.0.1"])
def test_another_address_needs_one(host: str, set_settings: SetSettings) -> None:
    assert not is_loopback(host)
    with pytest.raises(Exposed, match="set DD_RAY_API_KEY"):
        check_key(host)
    set_settings(api_key=KEY)
    check_key(host)


def test_a_name_is_loopback_when_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: entries)
    assert not is_loopback("both")


@pytest.mark.parametrize("mode", [{}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": ""}])
def test_a_ray_without_its_token_is_exposed(mode: dict[str, str]) -> None:
    with pytest.raises(Exposed, match="RAY_AUTH_MODE=token"):
        check_ray(mode, "the Ray")
    check_ray({"RAY_AUTH_MODE": "TOKEN"}, "the Ray")


def test_rays_token_is_for_its_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    token = tmp_path / ".ray" / "auth_token"
    keep_token_private()
    made = token.read_text()
    assert len(made) == 64
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    token.chmod(0o644)
    keep_token_private()
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() == made


# -- a server on loopback, shared -----------------------------------------------------------------


def listening(server: Server) -> dict[tuple[str, int], psutil.Process]:
    """Where the processes of a server listen, and which one does."""
    found: dict[tuple[str, int], psutil.Process] = {}
    for process in [psutil.Process(server.process.pid), *server.children()]:
        try:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    found[connection.laddr.ip, connection.laddr.port] = process
        except psutil.NoSuchProcess:
            continue
    return found


def open_to_others(server: Server) -> dict[int, str]:
    """The ports that are not on loopback, and whose they are."""
    ports = {}
    for (ip, port), process in listening(server).items():
        address = ipaddress.ip_address(ip)
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not mapped.is_loopback:
            ports[port] = (process.cmdline() or [process.name()])[0]
    return ports


@pytest.fixture
def served(server_and_url: tuple[Server, str], wire: Client, tmp_path: Path) -> tuple[Server, str]:
    """The shared server with a service that predicts."""
    assert wire.create("exposed", str(tmp_path), mllib={"nclasses": 2})[0] == 201
    given: dict[str, Any] = {"input": {"label": "y"}, "mllib": {"iterations": 1}}
    assert wire.train("exposed", "a,y\n1,0\n2,1", **given)[0] == 201
    assert wire.predict("exposed", "1")[0] == 200
    return server_and_url


@pytest.mark.ray
def test_only_what_ray_guards_itself_listens_outside_of_loopback(
    served: tuple[Server, str],
) -> None:
    server, _ = served
    outside = open_to_others(server)
    assert len(listening(server)) > 10
    assert outside, "the replicas' gRPC ports are gone: SECURITY.md and this test say otherwise"
    assert all(name.startswith("ray::ServeReplica:") for name in outside.values()), outside


@pytest.mark.ray
def test_the_proxy_behind_the_proxy_is_not_that_of_another_ray(served: tuple[Server, str]) -> None:
    """All Rays of a machine would share port 8500, and answer for each other's services."""
    server, _ = served
    (configuration,) = _folder(server).glob("h/*/haproxy.cfg")
    backups = [
        line.split()[2] for line in configuration.read_text().splitlines() if "backup" in line
    ]
    assert backups
    for address in backups:
        host, port = address.split(":")
        assert int(port) != 8500
        process = listening(server)[host, int(port)]
        assert process.cmdline()[0].startswith("ray::ProxyActor")


class Evil:
    """What pickle runs when it reads this."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.ray
def test_these_ports_run_nothing_without_rays_token(
    served: tuple[Server, str], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    evil = ASGIRequest(pickled_request_metadata=pickle.dumps(Evil(mark)))
    for port in open_to_others(served[0]):
        for metadata in ([], [("authorization", "Bearer wrong")]):
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary(
                    "/ray.serve.ASGIService/HandleRequest",
                    request_serializer=ASGIRequest.SerializeToString,
                )
                with pytest.raises(grpc.RpcError) as refusal:
                    call(evil, metadata=metadata, timeout=10)
            assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not mark.exists()


@pytest.mark.ray
def test_the_files_of_a_running_server_are_its_users(served: tuple[Server, str]) -> None:
    own = _folder(served[0])
    assert own.name.startswith("ddr-")
    assert own.stat().st_mode & 0o077 == 0
    configurations = list(own.glob("h/*/haproxy.cfg"))
    assert len(configurations) == 1
    assert len(str(configurations[0].with_name("admin.sock"))) <= 97


def _folder(server: Server) -> Path:
    """Where a server has its own files, in which Ray has a folder."""
    return session_folder(server).parents[1]


# -- servers with a key ---------------------------------------------------------------------------


@pytest.mark.ray
def test_a_server_on_all_interfaces_asks_everybody_for_the_key(
    tmp_path: Path, iris_csv: str
) -> None:
    env = {"DD_RAY_API_KEY": KEY, "DD_RAY_ROOTS": f"{tmp_path}:{Path(iris_csv).parent}"}
    env["HOME"] = str(tmp_path / "home")  # where Ray has no token yet
    origin = "https://ui.example"
    arguments = ("--host", "0.0.0.0", "--allow-origin", origin)
    with running(*arguments, env=env) as (server, url):
        with httpx.Client(base_url=url, timeout=120, headers=BEARER) as http:
            client = Client(http)
            outside = str(tmp_path.with_name("outside"))
            assert client.create("s", outside, mllib={"nclasses": 3})[0] == 403
            assert client.create("s", str(tmp_path / "m"), mllib={"nclasses": 3})[0] == 201
            given: dict[str, Any] = {"input": {"label": "target", "id": "id"}}
            assert client.train("s", iris_csv, mllib={"iterations": 1}, **given)[0] == 201
            for _ in range(5):
                assert client.predict("s", "5.1,3.5,1.4,0.2")[0] == 200
        with httpx.Client(base_url=url, timeout=30) as http:
            client = Client(http)
            calls = [("GET", "/info"), ("POST", "/predict"), ("POST", "/predict/s")]
            for method, path in calls:
                body = {"service": "s", "data": ["5.1,3.5,1.4,0.2"]}
                for headers in ({}, {"Authorization": "Bearer wrong-key-0123456"}):
                    code, answer = client.call(method, path, body, **headers)
                    assert (code, answer["status"]["dd_code"]) == (401, 401), path
                answer = http.request(method, path, json=body, auth=("dd", KEY))
                assert answer.status_code == 200, path
            asking = {"Origin": origin, "Access-Control-Request-Headers": "authorization"}
            assert http.request("OPTIONS", "/info", headers=asking).status_code == 204
            answer = http.get("/info", headers={"Origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
            for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                answer = http.post("/predict/s", json={"data": ["1"]}, headers=BEARER | header)
                assert answer.status_code == 403
        assert (tmp_path / "home" / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
        ports = open_to_others(server)
        public = int(url.rpartition(":")[2])
        others = {name for port, name in ports.items() if port != public}
        assert public in ports
        assert all(name.startswith("ray::ServeReplica:") for name in others), ports


@pytest.mark.ray
def test_a_server_that_anybody_could_use_does_not_start() -> None:
    reached, tokenless = refused(
        (["--host", "0.0.0.0"], {"DD_RAY_API_KEY": ""}),
        (["--ray-address", "local"], {"RAY_AUTH_MODE": "disabled"}),
    )
    assert "dd-ray: 0.0.0.0 is reached from other machines, and no key is asked for" in reached
    assert "dd-ray: a Ray of our own runs the code of whoever reaches its ports" in tokenless


@pytest.mark.ray
def test_a_ray_with_another_key_or_without_a_token_is_not_joined() -> None:
    flags = serve_flags({}) | {"RAY_AUTH_MODE": "disabled"}
    with (
        tempfile.TemporaryDirectory(prefix="ddr-", dir="/tmp") as folder,
        ray_head(Path(folder), flags) as address,
    ):
        joining = ["--ray-address", address]
        keyed, tokenless = refused((joining, flags | {"DD_RAY_API_KEY": KEY}), (joining, flags))
        assert "the processes of this Ray have another DD_RAY_API_KEY, or none" in keyed
        assert f"the Ray at {address} runs the code of whoever reaches its ports" in tokenless


def test_a_socket_outside_of_loopback_is_noticed() -> None:
    """The test of the tests above: they see what they look for."""

    class Here:
        process = psutil.Process()

        def children(self) -> list[psutil.Process]:
            return []

    with socket.create_server(("0.0.0.0", 0)) as outside, socket.create_server(("127.0.0.1", 0)):
        seen = open_to_others(Here())  # type: ignore[arg-type]
        assert outside.getsockname()[1] in seen
    with socket.create_server(("127.0.0.1", 0)) as inside:
        assert inside.getsockname()[1] not in open_to_others(Here())  # type: ignore[arg-type]
