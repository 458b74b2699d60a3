"""Edges in front of fakes, without Ray."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from dd_ray.cluster.edge.admin import Admin
from dd_ray.cluster.edge.edge import Edge, EdgeThread
from dd_ray.cluster.edge.haproxy import find_haproxy
from dd_ray.services.endpoints import Endpoint, Endpoints
from tests.cluster.load import Load, eventually
from tests.cluster.upstream import Upstream, upstream

KEY = "the-key-of-the-cluster"
SLOTS = 8

needs_haproxy = pytest.mark.skipif(find_haproxy() is None, reason="no HAProxy for this system")


class Board:
    """Endpoints on an event loop of their own, as the state actor has them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._endpoints = Endpoints()
        self.away = False

    def register(self, service: str, port: int, *, replica: str = "a") -> None:
        self._do(self._endpoints.register(service, replica, "127.0.0.1", port))

    def unregister(self, service: str, *, replica: str = "a") -> None:
        self._do(self._endpoints.unregister(service, replica))

    def forget(self, service: str) -> None:
        self._do(self._endpoints.forget(service))

    async def wait(self, seen: int) -> tuple[int, list[Endpoint]]:
        waiting = asyncio.run_coroutine_threadsafe(self._endpoints.wait(seen), self._loop)
        answer = await asyncio.wrap_future(waiting)
        if self.away:
            raise ConnectionError("the state is away")
        return answer

    def close(self) -> None:
        self._do(self._endpoints.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class Lab:
    """An edge, the fake Serve behind it, and fake replicas as they are asked for."""

    def __init__(
        self,
        stack: ExitStack,
        *,
        slots: int = SLOTS,
        caller: str = "",
        any_name: bool = False,
        drain_s: float = 1.0,
    ) -> None:
        self._stack = stack
        self.board = Board()
        stack.callback(self.board.close)
        self.serve = stack.enter_context(upstream("serve"))
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        program = find_haproxy()
        assert program is not None
        self._thread = EdgeThread(
            Edge(
                program=program,
                listening=listening,
                serve=f"127.0.0.1:{self.serve.port}",
                key=KEY,
                caller=caller,
                any_name=any_name,
                slots=slots,
                threads=1,
                drain_s=drain_s,
                endpoints=self.board.wait,
            )
        )
        self._thread.start()
        stack.callback(self.close)

    def close(self) -> None:
        self._thread.close()

    def replica(
        self, service: str, *, name: str = "a", headers: dict[str, str] | None = None
    ) -> Upstream:
        """A replica of a service, once the edge sends it a call that has these headers."""
        fake = self._stack.enter_context(upstream(f"{service}-{name}"))
        self.board.register(service, fake.port, replica=name)
        eventually(lambda: self.who(service, headers=headers) == fake.name)
        return fake

    def who(self, service: str, *, headers: dict[str, str] | None = None) -> object:
        """Who answers a call to a service."""
        return self.call({"service": service}, headers=headers)[1]["who"]

    def call(self, body: Any, **given: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to POST /predict."""
        response, content = self.exchange(body, **given)
        return response.status, json.loads(content)

    def exchange(
        self,
        body: bytes | dict[str, Any] | Iterable[bytes],
        *,
        path: str = "/predict",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """A response and its content; a body that is an iterator is sent in chunks."""
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, sent, headers or {})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def raw(self, *parts: bytes) -> Iterator[bytes]:
        """Sends bytes on one connection and gives what comes back, to its end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            for part in parts:
                connection.sendall(part)
            while received := connection.recv(65536):
                yield received

    def ask(self, command: str) -> str:
        """What HAProxy answers to a command."""
        folder = Path(self.haproxy().cmdline()[-1]).parent
        (answer,) = asyncio.run(Admin(folder / "admin.sock").ask(command))
        return answer

    def haproxy(self) -> psutil.Process:
        """The HAProxy that runs now."""
        (found,) = [
            child
            for child in psutil.Process().children()
            if child.name() == "haproxy" and child.status() != psutil.STATUS_ZOMBIE
        ]
        return found


def calling(edge: Lab, services: Iterable[str]) -> Load:
    """Clients that call one service after the other, and who has answered them."""
    requests = [("POST", "/predict", {"service": name, "data": ["1"]}) for name in services]
    return Load(
        f"http://127.0.0.1:{edge.port}",
        requests,
        clients=4,
        by=lambda content: str(json.loads(content)["who"]),
    )


@contextmanager
def lab(**given: Any) -> Iterator[Lab]:
    """A laboratory; `given` are the arguments of Lab."""
    with ExitStack() as stack:
        yield Lab(stack, **given)
