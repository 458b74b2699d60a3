"""The small HTTP server of a replica, spoken to byte by byte."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dd_ray.api.fast_server import FastServer
from dd_ray.logs import ACCESS
from dd_ray.services.answer import Rendered

KEY = b"x-dd-ray-key: k\r\n"


class Calls:
    """Answers each body with itself, at once or when it is let go."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.names: list[str] = []
        self.waiting: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self.left = asyncio.Event()
        self.at_once = True
        self.code = 200

    def submit(self, body: bytes, done: Callable[[Rendered], None], name: str) -> Calls:
        self.bodies.append(body)
        self.names.append(name)
        answer = Rendered(code=self.code, content=b'{"got":%d}' % len(body))
        if self.at_once:
            done(answer)
        else:
            self.waiting.put_nowait(lambda: done(answer))
        return self

    def cancel(self) -> None:
        self.left.set()


Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, Any]]


def spoken(play: Play, calls: Calls | None = None, *, most: int = 1000) -> Any:
    """What `play` returns, given a connection to a server."""

    async def run() -> Any:
        server = FastServer((calls or Calls()).submit, key="k", max_body_bytes=most)
        port = await server.start("127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await asyncio.wait_for(play(reader, writer), 10)
        finally:
            writer.close()
            await server.close(grace_s=0.1)

    return asyncio.run(run())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of the next answer."""
    status = (await reader.readline()).split()
    headers = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name] = value.strip()
    body = await reader.readexactly(int(headers["content-length"]))
    return int(status[1]), headers, json.loads(body)


def request(body: bytes, *, path: bytes = b"/predict", headers: bytes = KEY) -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (
        path,
        headers,
        len(body),
        body,
    )


def once(raw: bytes, calls: Calls | None = None, **given: Any) -> tuple[int, dict[str, str], Any]:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        writer.write(raw)
        return await answer(reader)

    found: tuple[int, dict[str, str], Any] = spoken(play, calls, **given)
    return found


def test_a_call_is_answered_and_the_connection_kept() -> None:
    calls = Calls()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        found = []
        for body in (b"{}", b"", b"x" * 900):
            writer.write(request(body))
            found.append(await answer(reader))
        return found

    found = spoken(play, calls)
    assert [(code, body["got"]) for code, _, body in found] == [(200, 2), (200, 0), (200, 900)]
    assert all("connection" not in headers for _, headers, _ in found)
    assert found[0][1]["content-type"] == "application/json"


def test_a_body_may_come_in_pieces_and_in_chunks() -> None:
    calls = Calls()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        raw = request(b"abcdef")
        for i in range(0, len(raw), 7):
            writer.write(raw[i : i + 7])
            await writer.drain()
            await asyncio.sleep(0)
        first = await answer(reader)
        head = b"POST /predict HTTP/1.1\r\n" + KEY + b"transfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        return first, await answer(reader)

    spoken(play, calls)
    assert calls.bodies == [b"abcdef", b"abcde"]


def test_requests_that_do_not_wait_are_answered_in_their_order() -> None:
    calls = Calls()
    calls.at_once = False

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        writer.write(request(b"a") + request(b"bb") + request(b"ccc"))
        found = []
        for _ in range(3):
            (await calls.waiting.get())()
            found.append((await answer(reader))[2]["got"])
        return found

    assert spoken(play, calls) == [1, 2, 3]
    assert calls.bodies == [b"a", b"bb", b"ccc"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/predict", ""),
        (b"//predict/", ""),
        (b"/predict?x=1", ""),
        (b"/predict/wine", "wine"),
        (b"/predict/caf%C3%A9", "café"),
    ],
)
def test_the_path_may_name_the_service(path: bytes, name: str) -> None:
    calls = Calls()
    assert once(request(b"{}", path=path), calls)[0] == 200
    assert calls.names == [name]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (request(b"{}", headers=b""), 403),
        (request(b"{}", headers=b"x-dd-ray-key: K\r\n"), 403),
        (request(b"{}", path=b"/info"), 404),
        (request(b"{}", path=b"/predict/a/b"), 404),
        (b"GET /predict HTTP/1.1\r\n" + KEY + b"\r\n", 404),
        (request(b"{}", headers=KEY + b"content-encoding: gzip\r\n"), 400),
        (request(b"x" * 1001), 413),
        (b"\x00\x01nothing\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\n" + KEY + b"x: " + b"y" * 70_000 + b"\r\n\r\n", 400),
    ],
)
def test_what_is_not_a_call_is_refused_and_the_connection_closed(raw: bytes, code: int) -> None:
    calls = Calls()
    found, headers, body = once(raw, calls)
    assert (found, body["status"]["code"]) == (code, code)
    assert headers["connection"] == "close"
    assert calls.bodies == []


def test_a_chunked_body_past_the_limit_is_refused() -> None:
    head = b"POST /predict HTTP/1.1\r\n" + KEY + b"transfer-encoding: chunked\r\n\r\n"
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    calls = Calls()
    assert once(head + chunk * 3 + b"0\r\n\r\n", calls)[0] == 413
    assert calls.bodies == []


def test_a_client_that_asks_before_it_sends_is_told_to() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        writer.write(request(b"abc", headers=KEY + b"expect: 100-continue\r\n")[:-3])
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        await reader.readline()
        writer.write(b"abc")
        return await answer(reader)

    assert spoken(play)[2] == {"got": 3}


def test_a_client_that_leaves_cancels_its_call() -> None:
    calls = Calls()
    calls.at_once = False

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request(b"abc"))
        let_go = await calls.waiting.get()
        writer.transport.abort()
        await calls.left.wait()
        let_go()  # the answer comes all the same, and goes nowhere

    spoken(play, calls)


def test_too_busy_says_when_to_come_back() -> None:
    calls = Calls()
    calls.code = 503
    assert once(request(b"{}"), calls)[1]["retry-after"] == "1"


@pytest.mark.parametrize("headers", [KEY + b"connection: close\r\n", KEY])
def test_closing_ends_connections_after_their_answers(headers: bytes) -> None:
    calls = Calls()
    calls.at_once = False

    async def run() -> Any:
        server = FastServer(calls.submit, key="k", max_body_bytes=1000)
        port = await server.start("127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"abc", headers=headers))
        let_go = await calls.waiting.get()
        closing = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        let_go()
        found = await answer(reader)
        assert await reader.read() == b""
        await closing
        writer.close()
        return found

    code, sent, _ = asyncio.run(run())
    assert (code, sent["connection"]) == (200, "close")


def test_a_line_shows_no_id_of_any_kind(caplog: pytest.LogCaptureFixture) -> None:
    ACCESS.setLevel(logging.INFO)
    try:
        for odd in (b"r" * 201, b"two words", b"line\x85"):
            once(request(b"{}", path=b"/predict/s", headers=KEY + b"x-request-id: %s\r\n" % odd))
    finally:
        ACCESS.setLevel(logging.NOTSET)
    assert [len(vars(record)["request"]) for record in caplog.records] == [32] * 3


def test_a_line_for_a_request_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    named = request(b"{}", path=b"/predict/s", headers=KEY + b"x-request-id: r1\r\n")
    once(named)
    assert caplog.records == []
    ACCESS.setLevel(logging.INFO)
    try:
        once(named)
    finally:
        ACCESS.setLevel(logging.NOTSET)
    (record,) = caplog.records
    shown = vars(record)
    assert (shown["request"], shown["path"], shown["code"]) == ("r1", "/predict/s", 200)
