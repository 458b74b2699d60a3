"""Requests as they are seen from outside: their ids, their counts, their lines in the log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dd_ray.logs import ACCESS, REQUEST
from dd_ray.services.request_counts import RequestCounts, Requests

logger = logging.getLogger(__name__)

_HEADER = b"x-request-id"
_PLAIN = re.compile(r"[\x21-\x7e]{1,200}")
_FLUSH_S = 1.0
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"})
_OTHER = "other"

Tell = Callable[[Sequence[Requests]], Awaitable[None]]
"""Takes what was counted."""


class Observe:
    """Around an app: takes or gives each request an id, counts it, and logs it if asked to.

    `routes` are the templates of the paths that there are: all others are counted as one.
    """

    def __init__(self, app: ASGIApp, *, routes: frozenset[str], tell: Tell) -> None:
        self._app = app
        self._routes = routes
        self._tell = tell
        self._counts = RequestCounts()
        self._due = False
        self._telling: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = request_id(scope)
        code = 500

        async def answer(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request
            await send(message)

        began = time.perf_counter()
        token = REQUEST.set(request)
        try:
            await self._app(scope, receive, answer)
        finally:
            REQUEST.reset(token)
            self._count(scope, code, time.perf_counter() - began, request)

    def _count(self, scope: Scope, code: int, seconds: float, request: str) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self._counts.count(method, self._route(scope["path"]), code, seconds)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(_FLUSH_S, self._begin_flush)
        log_access(scope["method"], scope["path"], code, seconds, request=request)

    def _route(self, path: str) -> str:
        """The template of a path.

        What is looked at is the first part, and whether there is another: all that templates have.
        """
        first, *others = [part for part in path.split("/") if part] or [""]
        template = f"/{first}/{{name}}" if others else f"/{first}"
        return template if template in self._routes else _OTHER

    def _begin_flush(self) -> None:
        self._due = False
        task = asyncio.get_running_loop().create_task(self.flush())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def flush(self) -> None:
        """Tells what was counted since the last time."""
        try:
            await self._tell(self._counts.take())
        except Exception as exc:  # whatever it is: numbers are lost, and nothing else
            logger.warning("requests were not counted: %r", exc)


def request_id(scope: Scope) -> str:
    """What the client, or the edge, calls this request; else a new id."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            return plain_id(value)
    return uuid.uuid4().hex


def plain_id(given: bytes) -> str:
    """An id that a log may show, printable, without blanks, of 200 characters at most; or a new."""
    text = given.decode("latin-1")
    return text if _PLAIN.fullmatch(text) else uuid.uuid4().hex


def log_access(method: str, path: str, code: int, seconds: float, *, request: str) -> None:
    """A line in the access log."""
    if ACCESS.isEnabledFor(logging.INFO):
        extra = {"request": request, "method": method, "path": path, "code": code}
        extra["took_ms"] = round(seconds * 1000, 3)
        ACCESS.info("%s %s %d %.1f ms", method, path, code, seconds * 1000, extra=extra)
