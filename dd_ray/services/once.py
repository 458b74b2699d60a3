"""Requests that are carried out once, although they may come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dd_ray.services import schema
from dd_ray.services.store import Store

T = TypeVar("T")


class Once:
    """Knows the requests under way and, from the store, those answered in the last hour.

    Whoever carries one out writes its answer with the change that it makes; see
    `schema.add_answer`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def __call__(self, request: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer to a request of that name; without one it cannot come again."""
        if not request:
            return await work()
        task = self._under_way.get(request)
        if task is None:
            task = self._under_way[request] = asyncio.create_task(self._answer(request, work))
            task.add_done_callback(lambda _: self._under_way.pop(request, None))
        return await asyncio.shield(task)  # who asked may give up, what was asked for is done

    async def _answer(self, request: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        known = await self._store.read(lambda connection: schema.answered(connection, request))
        if known is None:
            return await work()
        answer: T = known[0]
        return answer
