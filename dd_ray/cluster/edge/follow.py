"""Keeping what a running HAProxy knows equal to where replicas listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from dd_ray.cluster.edge.admin import Admin
from dd_ray.cluster.edge.slots import Slots
from dd_ray.services.endpoints import Endpoint

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0
"""Until the next attempt at what may not have succeeded."""

Known = tuple[int, Sequence[Endpoint]]
"""Endpoints and their number, as services.endpoints gives them."""

Wait = Callable[[int], Awaitable[Known]]
"""Waits until there are other endpoints than those of that number."""

NOTHING: Known = (-1, ())

_DELETED = "Server deleted."
_EXPECTED = ("", "New server registered.", _DELETED)


class Follower:
    """Tells one HAProxy, from its start to its end."""

    def __init__(
        self,
        admin: Admin,
        slots: Slots,
        *,
        wait: Wait,
        known: Known = NOTHING,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._admin = admin
        self._slots = slots
        self._wait = wait
        self._again_s = again_s
        self.known = known
        """The newest endpoints, which the next HAProxy may be told while nobody can be asked."""

    async def run(self) -> None:
        """Goes on until cancelled; ends with an error when HAProxy takes no commands."""
        await self._tell()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._sweep())

    async def _follow(self) -> None:
        while True:
            seen, _ = self.known
            try:
                known = await self._wait(seen)
            except Exception as exc:  # Ray's: the state is away, but replicas may well be there
                logger.warning("where replicas listen cannot be asked, asking again: %s", exc)
                await asyncio.sleep(self._again_s)
                continue
            if known[0] != seen:
                self.known = known
                await self._tell()

    async def _tell(self) -> None:
        _, endpoints = self.known
        now = asyncio.get_running_loop().time()
        commands = self._slots.change(endpoints, now=now)
        for command, answer in zip(commands, await self._admin.ask(*commands), strict=True):
            if answer not in _EXPECTED:
                logger.warning("HAProxy says %r to %r", answer, command)

    async def _sweep(self) -> None:
        """Deletes servers as soon as they answer nothing any more."""
        while True:
            await asyncio.sleep(self._again_s)
            commands = self._slots.sweep(now=asyncio.get_running_loop().time())
            answers = await self._admin.ask(*commands)
            for command, answer in zip(commands, answers, strict=True):
                if answer == _DELETED:
                    self._slots.deleted(command.split()[-1])
