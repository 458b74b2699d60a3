"""Where replicas listen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

import pytest

from dd_ray.services.endpoints import Endpoint, Endpoints, gone


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(limited())


class Lives:
    """Ends replicas when it is told to."""

    def __init__(self) -> None:
        self.ends: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def gone(self, endpoint: Endpoint) -> None:
        await self.ends[endpoint.port].wait()


def shown(answer: tuple[int, list[Endpoint]]) -> list[tuple[str, str, int]]:
    return [(each.service, each.replica, each.port) for each in answer[1]]


async def never(endpoint: Endpoint) -> None:
    await asyncio.Event().wait()


def test_replicas_are_listed_from_their_registration_to_their_end() -> None:
    async def test() -> None:
        lives = Lives()
        endpoints = Endpoints(gone=lives.gone)
        await endpoints.register("s", "a", "10.0.0.1", 1)
        await endpoints.register("s", "b", "::1", 2)
        await endpoints.register("t", "a", "10.0.0.1", 3)
        seen, found = await endpoints.wait()
        assert found[1] == Endpoint(service="s", replica="b", host="::1", port=2)
        assert shown((seen, found)) == [("s", "a", 1), ("s", "b", 2), ("t", "a", 3)]
        await endpoints.unregister("s", "a")
        assert shown(await endpoints.wait()) == [("s", "b", 2), ("t", "a", 3)]
        seen, _ = await endpoints.wait()
        lives.ends[2].set()
        assert shown(await endpoints.wait(seen)) == [("t", "a", 3)]
        await endpoints.register("s", "c", "10.0.0.1", 4)
        await endpoints.register("s", "d", "10.0.0.1", 5)
        await endpoints.forget("s")
        assert shown(await endpoints.wait()) == [("t", "a", 3)]
        await endpoints.close()
        assert (await endpoints.wait())[1] == []

    run(test())


def test_a_change_ends_waiting_and_nothing_else_does() -> None:
    async def test() -> None:
        endpoints = Endpoints(gone=never, version=7, learn_s=0)
        await endpoints.register("s", "a", "10.0.0.1", 1)
        seen, _ = await endpoints.wait(7)
        assert seen == 8
        waiting = [asyncio.create_task(endpoints.wait(seen)) for _ in range(2)]
        await endpoints.register("s", "a", "10.0.0.1", 1)
        await endpoints.unregister("s", "b")
        await endpoints.forget("t")
        assert not (await asyncio.wait(waiting, timeout=0.05))[0]
        await endpoints.register("s", "a", "10.0.0.1", 2)
        for each in waiting:
            assert shown(await each) == [("s", "a", 2)]
        for other in (-1, seen, 10**9):  # also of a list that was lost
            assert (await endpoints.wait(other))[0] == seen + 1
        await endpoints.close()

    run(test())


@pytest.mark.parametrize("seen", [99, 10**9])
def test_who_knows_a_list_that_was_lost_is_told_of_the_new_one_when_it_is_complete(
    seen: int,
) -> None:
    async def test() -> None:
        endpoints = Endpoints(gone=never, version=100, learn_s=0.3)
        assert await endpoints.wait() == (100, [])
        waiting = asyncio.create_task(endpoints.wait(seen))
        await endpoints.register("s", "a", "10.0.0.1", 1)
        assert not (await asyncio.wait([waiting], timeout=0.05))[0]
        assert shown(await endpoints.wait(100)) == [("s", "a", 1)]
        await endpoints.register("s", "b", "10.0.0.1", 2)
        assert shown(await waiting) == [("s", "a", 1), ("s", "b", 2)]
        assert shown(await endpoints.wait(seen)) == [("s", "a", 1), ("s", "b", 2)]
        await endpoints.close()

    run(test())


def test_the_watch_of_a_place_that_a_replica_has_left_changes_nothing() -> None:
    async def test() -> None:
        lives = Lives()
        endpoints = Endpoints(gone=lives.gone)
        await endpoints.register("s", "a", "10.0.0.1", 1)
        await asyncio.sleep(0)
        await endpoints.register("s", "a", "10.0.0.1", 2)
        lives.ends[1].set()
        seen, _ = await endpoints.wait()
        assert not (await asyncio.wait([asyncio.create_task(endpoints.wait(seen))], timeout=0.05))[
            0
        ]
        assert shown(await endpoints.wait()) == [("s", "a", 2)]
        await endpoints.close()

    run(test())


@pytest.mark.parametrize(
    ("host", "port"),
    [("localhost", 1), ("", 1), ("1.2.3.4 x", 1), ("fe80::1%eth0", 1)]
    + [("10.0.0.1", port) for port in (0, -1, 65536)],
)
def test_a_place_that_nobody_could_call_is_refused(host: str, port: int) -> None:
    async def test() -> None:
        endpoints = Endpoints(gone=never)
        with pytest.raises(ValueError, match=r"port|address"):
            await endpoints.register("s", "a", host, port)
        assert await endpoints.wait() == (0, [])

    run(test())


class Listener:
    """A server that ends the connections it has when told to, or says nothing."""

    def __init__(self) -> None:
        self.accepted = asyncio.Semaphore(0)
        self.writers: list[asyncio.StreamWriter] = []
        self.server: asyncio.Server | None = None

    async def start(self) -> Endpoint:
        self.server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        return Endpoint(service="s", replica="a", host="127.0.0.1", port=port)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.accepted.release()

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    def close(self) -> None:
        assert self.server is not None
        self.server.close()
        self.hang_up()


def test_a_replica_is_gone_when_nobody_listens_there_any_more() -> None:
    async def test() -> None:
        listener = Listener()
        endpoint = await listener.start()
        ended = asyncio.create_task(gone(endpoint))
        for _ in range(3):
            await listener.accepted.acquire()
            assert not ended.done()
            listener.hang_up()  # one connection is not the replica
        await listener.accepted.acquire()
        listener.close()
        await ended
        await gone(endpoint)

    run(test())


def test_watching_ends_with_the_watcher() -> None:
    async def test() -> None:
        listener = Listener()
        endpoint = await listener.start()
        watching = asyncio.create_task(gone(endpoint))
        await listener.accepted.acquire()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        listener.close()

    run(test())
