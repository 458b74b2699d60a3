"""A small HTTP server for predict calls alone: what a service's replica answers itself.

It does `POST /predict` and `POST /predict/<service>` and nothing else; httptools reads the
requests. Measured with one-row calls to an XGBoost model at 32 connections: ten times the calls
for a second of CPU that an ASGI server answers, because calls that come together are one batch and
none has a task, a scope or a response object of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast
from urllib.parse import unquote

import httptools

from dd_ray.api.observe import log_access, plain_id
from dd_ray.errors import ApiError, BadRequest, Forbidden, NotFound, TooLarge
from dd_ray.logs import ACCESS
from dd_ray.services.answer import Rendered, render_error

KEY_HEADER = b"x-dd-ray-key"
"""What the edge says to show that a request came through it."""

_ID_HEADER = b"x-request-id"
_PREFIX = b"/predict"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEADERS = b"content-type: application/json\r\ncontent-length: %d\r\n"
_STATUS = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}
_MOST_HEADER_BYTES = 2**16


class Ticket(Protocol):
    """A call that has been taken."""

    def cancel(self) -> None: ...


Submit = Callable[[bytes, Callable[[Rendered], None], str], Ticket]
"""Takes body, where the answer goes, and the name in the path; see Batcher.submit."""


class FastServer:
    """Listens until closed. Requests without the key are refused."""

    def __init__(self, submit: Submit, *, key: str, max_body_bytes: int) -> None:
        self._submit = submit
        self._key = key.encode()
        self._max_body = max_body_bytes
        self._connections = _Connections()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> int:
        """The port that it listens on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port, backlog=1024)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self, *, grace_s: float = 5.0) -> None:
        """Takes no more connections, and ends those there are once they have been answered."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connections.empty(), grace_s)
        for connection in list(self._connections):
            connection.abort()

    def _connection(self) -> _Connection:
        return _Connection(self._submit, self._key, self._max_body, self._connections)


class _Connections(set["_Connection"]):
    """The connections there are."""

    def __init__(self) -> None:
        super().__init__()
        self._emptied: asyncio.Future[None] | None = None

    async def empty(self) -> None:
        """Returns when there are none."""
        if self:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    def left(self, connection: _Connection) -> None:
        self.discard(connection)
        if not self and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


@dataclass(frozen=True, slots=True)
class _Request:
    """A whole request, or why it is refused."""

    body: bytes
    name: str
    keep: bool
    refusal: ApiError | None
    id: bytes
    """Its X-Request-ID, which the edge gives to those that have none."""
    began: float


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, others that have come wait for their turn."""

    def __init__(
        self, submit: Submit, key: bytes, max_body: int, connections: _Connections
    ) -> None:
        self._submit = submit
        self._key = key
        self._max_body = max_body
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._ticket: Ticket | None = None
        self._current: _Request | None = None
        self._waiting: deque[_Request] = deque()
        self._draining = False
        self._logs = ACCESS.isEnabledFor(logging.INFO)
        self.on_message_begin()

    # -- asyncio --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.left(self)
        self._transport = None
        if self._ticket is not None:
            self._ticket.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(BadRequest("upgrades are not supported"))
        except httptools.HttpParserError as exc:
            self._refuse(BadRequest(f"not HTTP: {exc}"))

    def drain(self) -> None:
        """Ends the connection as soon as nothing is being answered."""
        self._draining = True
        if self._current is None:
            self._close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- httptools ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._path = b""
        self._body = bytearray()
        self._keyed = False
        self._encoded = False
        self._header_bytes = 0
        self._request_id = b""
        self._refusal: ApiError | None = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        name = name.lower()
        if name == KEY_HEADER:
            self._keyed = hmac.compare_digest(value, self._key)
        elif name == b"content-encoding":
            self._encoded = value.strip().lower() not in (b"", b"identity")
        elif name == b"content-length" and value.isdigit() and int(value) > self._max_body:
            self._refusal = TooLarge(f"the body has {int(value)} bytes, at most {self._max_body}")
        elif name == _ID_HEADER:
            self._request_id = value
        elif name == b"expect" and value.lower() == b"100-continue" and self._transport:
            self._transport.write(_CONTINUE)
        if self._header_bytes > _MOST_HEADER_BYTES:
            self._refusal = BadRequest("the headers are too long")

    def on_headers_complete(self) -> None:
        self._refusal = self._refusal or self._refused()
        if self._refusal is not None:  # what is refused need not be read
            self._refuse(self._refusal)

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None:
            return
        self._body += body
        if len(self._body) > self._max_body:
            self._body.clear()
            self._refusal = TooLarge(f"the body is longer than {self._max_body} bytes")
            self._refuse(self._refusal)

    def on_message_complete(self) -> None:
        if self._refusal is None:
            name = unquote(self._path[len(_PREFIX) + 1 :].decode("latin-1"))
            self._take(self._request(bytes(self._body), name, self._parser.should_keep_alive()))

    # -- answering ------------------------------------------------------------------------------

    def _refused(self) -> ApiError | None:
        if not self._keyed:
            return Forbidden("this port is the edge's")
        path = self._path = _path_of(self._url)
        named = path.startswith(_PREFIX + b"/") and b"/" not in path[len(_PREFIX) + 1 :]
        if self._parser.get_method() != b"POST" or not (path == _PREFIX or named):
            return NotFound("this port answers POST /predict alone")
        if self._encoded:
            return BadRequest("Content-Encoding: this port takes plain bodies")
        return None

    def _refuse(self, error: ApiError) -> None:
        """An error in its turn; the connection ends, for what follows may be anything."""
        self._take(self._request(b"", "", False, error))

    def _request(
        self, body: bytes, name: str, keep: bool, refusal: ApiError | None = None
    ) -> _Request:
        return _Request(body, name, keep, refusal, self._request_id, time.perf_counter())

    def _take(self, request: _Request) -> None:
        if self._current is None:
            self._begin(request)
            return
        self._waiting.append(request)
        if self._transport is not None:
            self._transport.pause_reading()

    def _begin(self, request: _Request) -> None:
        self._current = request
        if request.refusal is not None:
            self._answer(render_error(request.refusal))
        else:
            ticket = self._submit(request.body, self._answer, request.name)
            self._ticket = ticket if self._current is request else None

    def _answer(self, rendered: Rendered) -> None:
        """Writes the answer and goes on with the next request."""
        request, self._current, self._ticket = self._current, None, None
        if self._transport is None or request is None:
            return
        keep = request.keep and not self._draining
        self._write(rendered, keep=keep)
        if self._logs:
            _log(request, rendered.code)
        if not keep:
            self._waiting.clear()
            self._close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if self._current is None and self._waiting:
            self._begin(self._waiting.popleft())
        if not self._waiting and self._transport is not None:
            self._transport.resume_reading()

    def _write(self, rendered: Rendered, *, keep: bool) -> None:
        assert self._transport is not None
        more = b"" if keep else b"connection: close\r\n"
        if rendered.code == HTTPStatus.SERVICE_UNAVAILABLE:
            more += b"retry-after: 1\r\n"
        status = _STATUS.get(rendered.code, str(rendered.code).encode())
        head = b"HTTP/1.1 " + status + b"\r\n" + _HEADERS % len(rendered.content) + more + b"\r\n"
        self._transport.write(head + rendered.content)

    def _close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.close()


def _log(request: _Request, code: int) -> None:
    took_s = time.perf_counter() - request.began
    path = f"/predict/{request.name}" if request.name else "/predict"
    log_access("POST", path, code, took_s, request=plain_id(request.id))


def _path_of(url: bytes) -> bytes:
    """The path without slashes more than one at its ends; empty for no URL."""
    try:
        path: bytes = httptools.parse_url(url).path or b"/"
    except httptools.HttpParserInvalidURLError:
        return b""
    return b"/" + path.strip(b"/")
