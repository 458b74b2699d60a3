"""Which slot of HAProxy each service has, and what to say to HAProxy when that changes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from dd_ray.cluster.edge.config import slot_names
from dd_ray.cluster.names import is_plain
from dd_ray.services.endpoints import Endpoint

logger = logging.getLogger(__name__)

_GRACE_S = 60.0
"""How long a replica that takes no more calls may answer those it has."""

_WATCHED = (
    # one refused connection, and the others are called; looked at again until it is back
    "check inter 10s fastinter 500ms downinter 500ms fall 1 rise 1"
    " observe layer4 error-limit 1 on-error mark-down"
)


class Slots:
    """What one HAProxy was told, which has just started and so knows of no service.

    Any command may fail without harm: a service without a slot, a replica or a name in the map is
    called through Serve.
    """

    def __init__(self, slots: int, services_map: Path) -> None:
        self._map = services_map
        self._free = deque(slot_names(slots))
        self._slot_of: dict[str, str] = {}
        self._servers: dict[Endpoint, str] = {}
        self._leaving: dict[str, float] = {}
        self._without: set[str] = set()
        self._numbers = count(1)

    def change(self, endpoints: Sequence[Endpoint], *, now: float) -> list[str]:
        """The commands after which these replicas are called, and no others."""
        wanted = [endpoint for endpoint in endpoints if _is_routed(endpoint.service)]
        kept = set(wanted)
        gone = [endpoint for endpoint in self._servers if endpoint not in kept]
        ended = self._slot_of.keys() - {endpoint.service for endpoint in wanted}
        commands = [command for service in sorted(ended) for command in self._take(service)]
        for endpoint in gone:
            commands += self._retire(self._servers.pop(endpoint), now)
        commands += self._give({endpoint.service for endpoint in wanted})
        for endpoint in wanted:
            if endpoint not in self._servers and endpoint.service in self._slot_of:
                commands += self._add(endpoint)
        return commands

    @property
    def leaving(self) -> list[str]:
        """Servers that take no more calls but may be answering some."""
        return list(self._leaving)

    def sweep(self, *, now: float) -> list[str]:
        """Commands that delete the leaving servers, each answered `Server deleted.` if it could."""
        commands = []
        for server, since in self._leaving.items():
            if now - since > _GRACE_S:
                commands.append(f"shutdown sessions server {server}")
            commands.append(f"del server {server}")
        return commands

    def deleted(self, server: str) -> None:
        """A leaving server is gone."""
        self._leaving.pop(server, None)

    def _take(self, service: str) -> list[str]:
        # given again as late as can be: a call that is being sent a second time may be in it
        self._free.append(self._slot_of.pop(service))
        return [f"del map {self._map} {service}"]

    def _give(self, services: set[str]) -> list[str]:
        without = services - self._slot_of.keys()
        commands = []
        for service in sorted(without)[: len(self._free)]:
            self._slot_of[service] = self._free.popleft()
            commands.append(f"add map {self._map} {service} {self._slot_of[service]}")
        without -= self._slot_of.keys()
        if without - self._without:
            logger.warning(
                "%d services have no slot at the edge and are slower: DD_RAY_EDGE_SLOTS is %d",
                len(without),
                len(self._slot_of),
            )
        self._without = without
        return commands

    def _add(self, endpoint: Endpoint) -> list[str]:
        server = f"{self._slot_of[endpoint.service]}/replica-{next(self._numbers)}"
        self._servers[endpoint] = server
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        return [
            f"add server {server} {host}:{endpoint.port} {_WATCHED}",
            f"enable health {server}",
            f"set server {server} state ready",
        ]

    def _retire(self, server: str, now: float) -> list[str]:
        self._leaving[server] = now
        return [f"set server {server} state maint"]


def _is_routed(service: str) -> bool:
    """Not those that HAProxy would take for a JSON number, nor a number for them."""
    return is_plain(service) and not service.isdecimal()
