"""Joining calls that go to another process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dd_ray.errors import ServiceNotFound, Unavailable
from dd_ray.services.answer import Rendered
from dd_ray.services.hop import Hop


class Far:
    """Answers bodies with themselves once it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.go = asyncio.Event()

    async def __call__(self, raws: list[bytes]) -> list[Rendered]:
        self.calls.append(raws)
        await self.go.wait()
        if b"gone" in raws:
            raise ServiceNotFound("gone")
        return [Rendered(code=200, content=raw) for raw in raws]


def test_what_queued_goes_together_in_order() -> None:
    async def play() -> tuple[list[int], list[bytes]]:
        far = Far()
        hop = Hop(far)
        asked = [asyncio.create_task(hop.predict(b"%d" % i)) for i in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        far.go.set()
        answers = await asyncio.gather(*asked)
        return [len(call) for call in far.calls], [answer.content for answer in answers]

    sizes, contents = asyncio.run(play())
    assert sizes == [1, 1, 1, 1, 16]
    assert contents == [b"%d" % i for i in range(20)]


def test_an_error_is_that_of_the_bodies_sent_with_it() -> None:
    async def play() -> list[Any]:
        far = Far()
        far.go.set()
        hop = Hop(far)
        return await asyncio.gather(
            hop.predict(b"1"), hop.predict(b"gone"), hop.predict(b"2"), return_exceptions=True
        )

    first, second, third = asyncio.run(play())
    assert isinstance(second, ServiceNotFound)
    assert (first.content, third.content) == (b"1", b"2")


def test_too_many_are_refused() -> None:
    async def play() -> None:
        far = Far()
        hop = Hop(far, most_waiting=2)
        asked = [asyncio.create_task(hop.predict(b"x")) for _ in range(6)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await hop.predict(b"x")
        far.go.set()
        assert len(await asyncio.gather(*asked)) == 6

    asyncio.run(play())
