"""Fetching and calling URLs."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from dd_ray.guard.http import BadStatus, CheckedTransport, answer_of, download, reason
from dd_ray.guard.inflate import Broken, TooLong
from tests.conftest import SetSettings
from tests.guard.web import Web, send, serving

REFUSED = pytest.raises(httpx.ConnectError, match="has no public address")


def fetched(url: str, *, limit: int = 10**6, timeout_s: float = 10) -> bytes:
    file = io.BytesIO()
    download(url, file, limit=limit, timeout_s=timeout_s)
    return file.getvalue()


def test_a_forbidden_host_gets_no_connection() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            with REFUSED:
                fetched(f"http://{host}:{port}/")
        with pytest.raises(TimeoutError):
            listening.accept()


def test_an_allowed_host_is_fetched(loopback_allowed: None) -> None:
    with serving(lambda handler: send(handler, b"content")) as web:
        assert fetched(f"{web.url}/a?b=c") == b"content"
    assert web.asked == [("/a?b=c", f"127.0.0.1:{web.port}")]


def test_a_name_is_resolved_once_and_sent_as_host(
    monkeypatch: pytest.MonkeyPatch, set_settings: SetSettings
) -> None:
    """A second answer of the name server, which leads elsewhere, is never asked for."""
    set_settings(allowed_hosts="models.example")
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "models.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving(lambda handler: send(handler, b"content")) as web:
        assert fetched(f"http://models.example:{web.port}/x") == b"content"
    assert asked == ["models.example"]
    assert web.asked == [("/x", f"models.example:{web.port}")]


def test_the_name_is_what_tls_asks_for_and_checks(
    monkeypatch: pytest.MonkeyPatch, set_settings: SetSettings
) -> None:
    set_settings(allowed_hosts="models.example")
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: real("127.0.0.1" if host == "models.example" else host, *a, **k),
    )
    names: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            connection, _ = listening.accept()
            with connection:
                names.append(connection.recv(4096))

        thread = threading.Thread(target=take)
        thread.start()
        with pytest.raises(httpx.HTTPError):
            fetched(f"https://models.example:{listening.getsockname()[1]}/")
        thread.join()
    assert b"models.example" in names[0]


def redirecting(to: str) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/end":
            send(handler, b"content")
        else:
            send(handler, code=302, Location=to)

    return answer


def test_a_redirect_is_followed_where_it_may_be(loopback_allowed: None) -> None:
    with serving(redirecting("/end")) as web:
        assert fetched(f"{web.url}/start") == b"content"
    assert [path for path, _ in web.asked] == ["/start", "/end"]


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:{port}/end", "http://[::1]:{port}/end", "//127.0.0.2:{port}/"]
)
def test_a_redirect_to_a_forbidden_host_is_not_followed(
    target: str, loopback_allowed: None
) -> None:
    with serving(lambda handler: send(handler, code=302, Location=target)) as web:
        target = target.format(port=web.port)
        with REFUSED:
            fetched(f"{web.url}/start")
    assert [path for path, _ in web.asked] == ["/start"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_not_followed(target: str, loopback_allowed: None) -> None:
    with (
        serving(lambda handler: send(handler, code=302, Location=target)) as web,
        pytest.raises(httpx.HTTPError),
    ):
        fetched(web.url)


def test_redirects_have_an_end(loopback_allowed: None) -> None:
    with serving(redirecting("/again")) as web, pytest.raises(BadStatus, match="302"):
        fetched(web.url)
    assert len(web.asked) == 6


def test_the_body_of_a_redirect_is_not_read(loopback_allowed: None) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/end":
            return send(handler, b"content")
        send(handler, code=302, Location="/end")
        while True:  # until the connection is closed
            handler.wfile.write(b"x" * 2**16)

    with serving(answer) as web:
        assert fetched(web.url, timeout_s=5) == b"content"


@pytest.mark.parametrize("code", [204, 301, 404, 500])
def test_another_status_than_200_is_an_error(code: int, loopback_allowed: None) -> None:
    with (
        serving(lambda handler: send(handler, b"", code)) as web,
        pytest.raises(BadStatus) as failure,
    ):
        fetched(web.url)
    assert failure.value.code == code


def endless(handler: BaseHTTPRequestHandler) -> None:
    send(handler)
    while True:
        handler.wfile.write(b"x" * 2**16)


def test_size_is_limited_while_it_comes(loopback_allowed: None) -> None:
    with serving(endless) as web, pytest.raises(TooLong, match="longer than 100000 bytes"):
        fetched(web.url, limit=100_000)
    with serving(lambda handler: send(handler, b"x" * 100)) as web:
        assert len(fetched(web.url, limit=100)) == 100


def test_size_is_that_of_what_is_unpacked(loopback_allowed: None) -> None:
    bomb = gzip.compress(bytes(10**7))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, bomb, Content_Encoding="gzip")

    with serving(answer) as web:
        assert len(fetched(web.url, limit=10**7)) == 10**7
        with pytest.raises(TooLong):
            fetched(web.url, limit=10**7 - 1)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_encodings_that_nobody_bounds_are_refused(encoding: str, loopback_allowed: None) -> None:
    with (
        serving(lambda handler: send(handler, b"x", Content_Encoding=encoding)) as web,
        pytest.raises(Broken),
    ):
        fetched(web.url)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, each well within the time for reading."""
    send(handler)
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def slow_head(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: y\r\n"[:1])
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [dripping, slow_head])
def test_all_of_it_has_a_time(answer: Any, loopback_allowed: None) -> None:
    began = time.monotonic()
    with serving(answer) as web, pytest.raises(TimeoutError) as failure:
        fetched(web.url, timeout_s=0.5)
    assert time.monotonic() - began < 5
    assert reason(failure.value) == "it took too long"


def test_silence_has_a_time(set_settings: SetSettings) -> None:
    set_settings(allowed_hosts="127.0.0.1", read_timeout_s=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(httpx.ReadTimeout):
        fetched(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_neither_proxies_nor_netrc_are_used(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, loopback_allowed: None
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        send(handler, b"content")

    with serving(answer) as web, serving(endless) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert fetched(web.url) == b"content"
        assert proxy.asked == []
    assert seen == [None]


def test_the_next_address_is_tried_when_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, set_settings: SetSettings
) -> None:
    set_settings(allowed_hosts="models.example")
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "models.example":
            return real(host, port, *args, **kwargs)
        return [
            entry
            for address in ("127.0.0.3", "127.0.0.1")
            for entry in real(address, port, *args, **kwargs)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving(lambda handler: send(handler, b"content")) as web:
        assert fetched(f"http://models.example:{web.port}/") == b"content"


def test_a_connection_is_not_kept_for_another_name(
    monkeypatch: pytest.MonkeyPatch, set_settings: SetSettings
) -> None:
    """Two names with one address: over TLS the certificate of the second was never seen."""
    set_settings(allowed_hosts="127.0.0.1")
    connections: list[Any] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        connections.append(handler.client_address)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    async def twice(web: Web) -> None:
        async with httpx.AsyncClient(transport=CheckedTransport(), trust_env=False) as client:
            await client.get(web.url)
            await client.get(web.url)

    with serving(answer) as web:
        asyncio.run(twice(web))
    assert len(set(connections)) == 2


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://example.com/x", "file:///etc/passwd", "http://", "http:///x"]
)
def test_what_is_no_url_is_an_error_of_a_known_kind(url: str) -> None:
    async def ask() -> None:
        async with answer_of("GET", url):
            pass

    with pytest.raises((httpx.HTTPError, httpx.InvalidURL)):
        asyncio.run(ask())


def test_certificates_are_checked(loopback_allowed: None, tmp_path: Any) -> None:
    """A server whose certificate nobody has signed."""
    context = _self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            connection, _ = listening.accept()
            with connection, pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=take)
        thread.start()
        with pytest.raises(httpx.ConnectError, match=r"CERTIFICATE_VERIFY_FAILED"):
            fetched(f"https://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join()


def _self_signed(folder: Any) -> ssl.SSLContext:
    import subprocess

    files = {"-keyout": folder / "key.pem", "-out": folder / "cert.pem"}
    names = [str(word) for pair in files.items() for word in pair]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", *names),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["-out"], files["-keyout"])
    return context
