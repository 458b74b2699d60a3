"""Where the replicas of services listen, for whoever sends calls to them directly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address

from dd_ray.services.ports import Replica

logger = logging.getLogger(__name__)

REGISTER_EVERY_S = 10.0
"""How often a replica says where it listens: a list that was lost has forgotten it."""

_LEARN_S = 1.5 * REGISTER_EVERY_S
_WAIT_S = 60.0
_CONNECT_S = 3.0
_AGAIN_S = 1.0
_DEAD_AFTER = [("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)]
"""A machine that does not answer for 11 s is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A replica of a service that answers predict calls by HTTP."""

    service: str
    replica: str
    host: str
    """An IP address, so that nobody has to resolve it."""
    port: int

    def __post_init__(self) -> None:
        ip_address(self.host.replace("%", "/"))  # no zone, which only its own machine knows
        if not 0 < self.port < 2**16:
            raise ValueError(f"port {self.port}, expected 1 to 65535")


async def gone(endpoint: Endpoint) -> None:
    """Returns when nobody listens there any more.

    A connection that says nothing is kept open: the system ends it when the process dies, and
    finds out when the machine does.
    """
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except OSError:
            return
        try:
            _keep_alive(writer.get_extra_info("socket"))
            with contextlib.suppress(OSError):
                await reader.read(1)
        finally:
            writer.close()
        if clock() - began < _AGAIN_S:  # a server that closes idle connections is not gone
            await asyncio.sleep(_AGAIN_S / 10)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _DEAD_AFTER:
        if hasattr(socket, name):  # not everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Endpoints:
    """The endpoints of a cluster. Lives on one event loop.

    A replica that has died is found out by `gone`. `version` is where counting starts: a list that
    was lost and begins again should not count as one that its readers have seen. For `learn_s`, in
    which all replicas register again, such readers better go on with what they know.
    """

    def __init__(
        self,
        *,
        gone: Callable[[Endpoint], Awaitable[None]] = gone,
        version: int = 0,
        learn_s: float = _LEARN_S,
    ) -> None:
        self._gone = gone
        self._first = self._version = version
        self._learned_at = time.monotonic() + learn_s
        self._changed = asyncio.Event()
        self._watched: dict[Endpoint, asyncio.Task[None]] = {}
        self._problems: dict[Endpoint, str] = {}

    async def register(
        self, service: str, replica: str, host: str, port: int, problem: str = ""
    ) -> None:
        """A replica listens there; where it listened before is forgotten. Raises ValueError.

        One with a problem has no model, and says so to those who call it.
        """
        endpoint = Endpoint(service=service, replica=replica, host=host, port=port)
        if endpoint in self._watched:
            self._problems[endpoint] = problem
            return
        self._drop(lambda other: (other.service, other.replica) == (service, replica))
        self._problems[endpoint] = problem
        self._watched[endpoint] = asyncio.create_task(self._watch(endpoint))
        self._note_change()

    async def unregister(self, service: str, replica: str) -> None:
        """A replica takes no more calls."""
        self._forget(lambda other: (other.service, other.replica) == (service, replica))

    async def forget(self, service: str) -> None:
        """A service has ended."""
        self._forget(lambda other: other.service == service)

    def replicas(self, service: str) -> list[Replica]:
        """The replicas of a service, the oldest first."""
        return [
            Replica(name=endpoint.replica, problem=self._problems[endpoint])
            for endpoint in self._watched
            if endpoint.service == service
        ]

    async def wait(self, seen: int = -1) -> tuple[int, list[Endpoint]]:
        """The endpoints, the oldest first, and a number that differs when they do.

        With the number of an earlier answer as `seen`, waits up to a minute for a change; with that
        of a list that was lost, until this one is complete.
        """
        if seen != -1 and not self._first <= seen <= self._version:
            await asyncio.sleep(self._learned_at - time.monotonic())
        elif seen == self._version:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _WAIT_S)
        return self._version, list(self._watched)

    async def close(self) -> None:
        """Watches no more."""
        watching = list(self._watched.values())
        self._drop(lambda _: True)
        await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(self, endpoint: Endpoint) -> None:
        await self._gone(endpoint)
        logger.info("a replica of service %s has ended", endpoint.service)
        self._watched.pop(endpoint, None)
        self._problems.pop(endpoint, None)
        self._note_change()

    def _forget(self, which: Callable[[Endpoint], bool]) -> None:
        if self._drop(which):
            self._note_change()

    def _drop(self, which: Callable[[Endpoint], bool]) -> bool:
        found = [endpoint for endpoint in self._watched if which(endpoint)]
        for endpoint in found:
            self._watched.pop(endpoint).cancel()
            self._problems.pop(endpoint)
        return bool(found)

    def _note_change(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()
