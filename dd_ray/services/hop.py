"""Joining the calls that go to another process: what queued during a call is the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dd_ray.errors import Unavailable
from dd_ray.services.answer import Rendered

Call = Callable[[list[bytes]], Awaitable[list[Rendered]]]
"""Sends the bodies of predict calls; the answers come in their order."""

_UNDER_WAY = 4
"""Calls at a time: more than one, so that a slow body holds up only those sent with it."""

_MOST = 64
"""Bodies in one call."""


class Hop:
    """Sends predict calls to one service. Lives on one event loop."""

    def __init__(self, call: Call, *, most_waiting: int = 1000) -> None:
        self._call = call
        self._most_waiting = most_waiting
        self._waiting: list[tuple[bytes, asyncio.Future[Rendered]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def predict(self, raw: bytes) -> Rendered:
        """The answer to a body; raises Unavailable, and what the call raised."""
        if len(self._waiting) >= self._most_waiting:
            raise Unavailable(f"{self._most_waiting} calls wait already, try again")
        answer: asyncio.Future[Rendered] = asyncio.get_running_loop().create_future()
        self._waiting.append((raw, answer))
        if len(self._sending) < _UNDER_WAY:
            self._send()
        return await answer

    def _send(self) -> None:
        batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        task = asyncio.create_task(self._carry([item for item in batch if not item[1].done()]))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._waiting:
            self._send()

    async def _carry(self, batch: list[tuple[bytes, asyncio.Future[Rendered]]]) -> None:
        """Takes bodies there and answers back; an error is that of each of them."""
        if not batch:
            return
        try:
            answers = await self._call([raw for raw, _ in batch])
        except Exception as exc:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(exc)
            return
        for (_, answer), rendered in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(rendered)
