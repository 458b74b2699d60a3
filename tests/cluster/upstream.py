"""A small HTTP server that says what it was asked: it stands for a replica, or for Ray Serve.

`python -m tests.cluster.upstream NAME [PORT]` runs one in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import httptools

Answer = dict[str, object]


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._upstream.connections.add(self._transport)
        self._upstream.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.connections.discard(self._transport)
        self._upstream.left.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._length = 0
        self._checksum = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode().lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        self._checksum = zlib.crc32(body, self._checksum)

    def on_message_complete(self) -> None:
        answer = {
            "who": self._upstream.name,
            "method": self._parser.get_method().decode(),
            "path": self._url.decode("latin-1"),
            "headers": dict(self._headers),
            "keys": [value for name, value in self._headers if name == "x-dd-ray-key"],
            "length": self._length,
            "checksum": self._checksum,
        }
        self._upstream.requests += 1
        if self._upstream.hang_ups:
            self._upstream.hang_ups -= 1
            self._transport.abort()
            return
        self._upstream.begun += 1
        loop = asyncio.get_running_loop()
        loop.call_later(self._upstream.delay_s, self._answer, json.dumps(answer).encode())

    def _answer(self, content: bytes) -> None:
        self._upstream.begun -= 1
        content = self._upstream.content or content
        head = (
            f"HTTP/1.1 {self._upstream.status} Whatever\r\n"
            f"content-type: {self._upstream.content_type}\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        self._transport.write(head.encode() + content)


class Upstream:
    """Answers every request with what it was, in JSON, unless told otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.status = 200
        self.content = b""
        self.content_type = "application/json"
        self.delay_s = 0.0
        self.hang_ups = 0
        """How many of the next requests end their connection instead of being answered."""
        self.requests = 0
        self.begun = 0
        """Requests that wait for their answer."""
        self.stop_listening: Callable[[], object] = lambda: None
        self.accepted = 0
        self.connections: set[asyncio.Transport] = set()
        self.left = asyncio.Event()

    async def listen(self, port: int = 0) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(partial(_Connection, self), "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        return server


@contextmanager
def upstream(name: str) -> Iterator[Upstream]:
    """One in a thread."""
    fake = Upstream(name)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(fake.listen())

    async def close() -> None:
        server.close()

    fake.stop_listening = lambda: asyncio.run_coroutine_threadsafe(close(), loop).result()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_closed(fake))
        loop.close()


async def _closed(fake: Upstream) -> None:
    for connection in list(fake.connections):
        connection.abort()
    while fake.connections:
        fake.left.clear()
        await fake.left.wait()


class UpstreamProcess:
    """One in a process, which can be killed."""

    def __init__(self, name: str, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.upstream", name, str(port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def _main(name: str, port: int) -> None:
    fake = Upstream(name)
    server = await fake.listen(port)
    print(fake.port, flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
