"""Telling an HAProxy where replicas listen, for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from dd_ray.cluster.edge.admin import Admin
from dd_ray.cluster.edge.follow import Follower, Known
from dd_ray.cluster.edge.slots import Slots
from dd_ray.services.endpoints import Endpoint

HERE = Endpoint(service="s", replica="a", host="10.0.0.1", port=1)


class FakeAdmin:
    """An HAProxy that has nothing to say unless told what to answer."""

    def __init__(self) -> None:
        self.commands: asyncio.Queue[str] = asyncio.Queue()
        self.answers: dict[str, str] = {}
        self.error: OSError | None = None

    async def ask(self, *commands: str) -> list[str]:
        if self.error is not None:
            raise self.error
        for command in commands:
            self.commands.put_nowait(command)
        return [self.answers.get(command, "") for command in commands]

    async def asked(self, command: str) -> None:
        """Waits for a command."""
        while not (await self.commands.get()).startswith(command):
            pass


class FakeState:
    """Gives answers, or fails, when it is told to."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Known | Exception] = asyncio.Queue()
        self.seen: list[int] = []

    async def wait(self, seen: int) -> Known:
        self.seen.append(seen)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


Test = Callable[[FakeAdmin, FakeState, Follower], Coroutine[Any, Any, None]]


def following(test: Test, known: Known = (-1, ())) -> None:
    """Runs a test while a follower runs."""

    async def run() -> None:
        admin, state = FakeAdmin(), FakeState()
        slots = Slots(2, Path("/x/map"))
        follower = Follower(cast(Admin, admin), slots, wait=state.wait, known=known, again_s=0.02)
        task = asyncio.create_task(follower.run())
        async with asyncio.timeout(20):
            await test(admin, state, follower)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_what_is_known_is_told_before_anybody_is_asked() -> None:
    async def test(admin: FakeAdmin, state: FakeState, follower: Follower) -> None:
        await admin.asked("set server slot-1/replica-1 state ready")
        state.answers.put_nowait((8, []))
        await admin.asked("del map /x/map s")
        assert state.seen[:1] == [7]
        assert follower.known == (8, [])

    following(test, known=(7, [HERE]))


def test_a_state_that_fails_is_asked_again() -> None:
    async def test(admin: FakeAdmin, state: FakeState, follower: Follower) -> None:
        state.answers.put_nowait(RuntimeError("the actor died"))
        state.answers.put_nowait((1, [HERE]))
        await admin.asked("add server slot-1/replica-1")
        assert state.seen[:2] == [-1, -1]

    following(test)


def test_a_wait_that_ends_without_a_change_tells_nothing() -> None:
    async def test(admin: FakeAdmin, state: FakeState, follower: Follower) -> None:
        state.answers.put_nowait((7, [HERE]))
        state.answers.put_nowait((6, [HERE]))  # of a state that has begun anew
        await admin.asked("add map /x/map s")
        assert state.seen == [7, 7, 6]

    following(test, known=(7, ()))


def test_a_server_is_deleted_until_it_is() -> None:
    async def test(admin: FakeAdmin, state: FakeState, follower: Follower) -> None:
        state.answers.put_nowait((1, []))
        for _ in range(2):
            await admin.asked("del server slot-1/replica-1")
        admin.answers["del server slot-1/replica-1"] = "Server deleted."
        await admin.asked("del server slot-1/replica-1")
        state.answers.put_nowait((2, [HERE]))
        state.answers.put_nowait((3, []))
        await admin.asked("set server slot-2/replica-2 state maint")
        said = [await admin.commands.get() for _ in range(3)]
        assert said == ["del server slot-2/replica-2"] * 3

    following(test, known=(0, [HERE]))


def test_what_haproxy_does_not_do_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(admin: FakeAdmin, state: FakeState, follower: Follower) -> None:
        admin.answers["add map /x/map s slot-1"] = "no such map"
        state.answers.put_nowait((1, [HERE]))
        await admin.asked("set server slot-1/replica-1 state ready")

    following(test)
    assert [record.args for record in caplog.records] == [
        ("no such map", "add map /x/map s slot-1")
    ]


def test_an_haproxy_that_takes_no_commands_ends_it() -> None:
    async def run() -> None:
        admin, state = FakeAdmin(), FakeState()
        follower = Follower(cast(Admin, admin), Slots(1, Path("/x")), wait=state.wait)
        running = asyncio.create_task(follower.run())
        admin.error = ConnectionRefusedError()
        state.answers.put_nowait((1, [HERE]))
        done, _ = await asyncio.wait([running], timeout=10)
        assert done
        assert running.exception() is not None

    asyncio.run(run())
