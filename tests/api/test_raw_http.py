"""Bytes that no client library would send, to a server that listens on a port."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from dd_ray.api.app import build
from dd_ray.settings import settings
from tests.api.fake_server import FakeServer

LIMIT = 100_000
CALL = b'{"service":"s","data":["1"]}'


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server that takes bodies up to LIMIT."""
    with socket.socket() as listening, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DD_RAY_MAX_BODY_BYTES", str(LIMIT))
        settings.cache_clear()
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(build(FakeServer()), log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()
    settings.cache_clear()


def exchange(port: int, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes, and returns status, headers and body of what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(65536)
            assert received, "closed without an answer"
            head += received
        head, _, body = head.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
    return int(status.split()[1]), headers, body


def predict(*headers: str) -> bytes:
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def chunks(body: bytes, size: int) -> bytes:
    """A body in the chunked encoding."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_chunked_body_is_read(port: int) -> None:
    code, headers, body = exchange(port, predict("Transfer-Encoding: chunked"), chunks(CALL, 3))
    assert (code, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["status"]["code"] == 200


def test_a_chunked_and_compressed_body_is_read(port: int) -> None:
    head = predict("Transfer-Encoding: chunked", "Content-Encoding: gzip")
    assert exchange(port, head, chunks(gzip.compress(CALL), 5))[0] == 200


@pytest.mark.parametrize(
    "body", [b" " * (LIMIT + 1), b'{"a":"' + b"x" * 10 * LIMIT], ids=["just", "far"]
)
def test_a_body_past_the_limit_is_413_however_it_comes(port: int, body: bytes) -> None:
    packed = gzip.compress(body)
    for head, sent in (
        (predict(f"Content-Length: {len(body)}"), body),
        (predict("Transfer-Encoding: chunked"), chunks(body, 20_000)),
        (predict(f"Content-Length: {len(packed)}", "Content-Encoding: gzip"), packed),
        (predict("Transfer-Encoding: chunked", "Content-Encoding: gzip"), chunks(packed, 50)),
    ):
        code, _, answer = exchange(port, head, sent)
        assert (code, json.loads(answer)["status"]["dd_code"]) == (413, 413)


def test_a_declared_length_past_the_limit_is_413_before_the_body_comes(port: int) -> None:
    code, _, answer = exchange(port, predict(f"Content-Length: {10**12}"), b"{")
    assert code == 413
    assert str(LIMIT) in json.loads(answer)["status"]["dd_msg"]


@pytest.mark.parametrize(
    "sent",
    [
        predict("Content-Length: 0"),
        predict(),
        predict("Content-Length: 4", "Content-Encoding: br") + b"abcd",
        predict("Content-Length: 4", "Content-Encoding: gzip") + b"abcd",
        predict("Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ],
)
def test_a_wrong_body_is_400_in_the_envelope(port: int, sent: bytes) -> None:
    code, headers, body = exchange(port, sent)
    assert (code, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["status"]["dd_code"] == 400


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\xff garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        predict("Content-Length: many"),
        predict("Content-Length: 3") + CALL,
        predict("Transfer-Encoding: chunked") + b"zz\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_server_lives(port: int, sent: bytes) -> None:
    assert exchange(port, sent)[0] == 400
    assert exchange(port, predict(f"Content-Length: {len(CALL)}"), CALL)[0] == 200


def test_a_client_that_leaves_in_the_middle_is_no_failure(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(predict("Content-Length: 100") + b'{"service"')
    assert exchange(port, predict(f"Content-Length: {len(CALL)}"), CALL)[0] == 200
    assert caplog.records == []


def test_a_connection_serves_call_after_call(port: int) -> None:
    one = predict(f"Content-Length: {len(CALL)}") + CALL
    delete = b'DELETE /services/s HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"clear":"lib"}'
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for sent in (one, delete, one):
            connection.sendall(sent)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
