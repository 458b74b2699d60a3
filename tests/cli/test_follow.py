"""Following jobs: until they end, through a server that is away, and until a signal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any, Self

import httpx
import pytest
import typer

from dd_ray.cli.client import Api, Refused, Unreachable
from dd_ray.cli.follow import Jobs, Stop, follow, jobs_of

RUNNING = {"job": 1, "status": "running", "measure": {}}
ENDED = {"job": 1, "status": "finished"}
BUSY = Refused({"code": 503, "msg": "ServiceUnavailable"})
GONE = Refused({"code": 404, "msg": "NotFound", "dd_code": 1002, "dd_msg": "Service Not Found"})


class Seen:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Any]] = []

    def show(self, service: str, item: Any) -> None:
        self.items.append((service, item))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Now(Stop):
    """Does not wait between two questions."""

    async def wait(self, timeout_s: float) -> bool:
        return self.asked.is_set()


def followed(
    *answers: Jobs | Exception, at: Sequence[float] | None = None
) -> tuple[bool, list[Any]]:
    """What following a server of these answers returns and shows; `at` is when it gives each."""
    given = iter(zip(answers, at or [0.0] * len(answers), strict=True))
    seen, now = Seen(), 0.0

    async def jobs() -> Jobs:
        nonlocal now
        answer, now = next(given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run() -> bool:
        return await follow(jobs, progress=seen, stop=Now(), clock=lambda: now)

    return asyncio.run(run()), seen.items


def test_jobs_are_shown_until_none_runs() -> None:
    other = {"job": 2, "status": "running", "measure": {}}
    ended, seen = followed(
        [("a", RUNNING), ("b", other)], [("a", ENDED), ("b", other)], [("a", ENDED)]
    )
    assert ended
    assert seen == [("a", RUNNING), ("b", other), ("b", other)]


def test_a_job_that_is_not_listed_any_more_has_ended() -> None:
    assert followed([("a", RUNNING)], []) == (True, [("a", RUNNING)])


@pytest.mark.parametrize("away", [Unreachable("no answer"), BUSY])
def test_a_server_that_is_away_for_a_while_is_asked_again(away: Exception) -> None:
    ended, seen = followed([("a", RUNNING)], away, away, [("a", RUNNING)], [])
    assert ended
    assert len(seen) == 2


@pytest.mark.parametrize("away", [Unreachable("no answer"), BUSY])
def test_a_server_that_stays_away_is_given_up(away: Exception) -> None:
    with pytest.raises(type(away)):
        followed([("a", RUNNING)], away, away, [], at=[0, 60, 121, 122])


def test_the_patience_starts_again_with_each_answer() -> None:
    away = Unreachable("no answer")
    answers = [[("a", RUNNING)], away, [("a", RUNNING)], away, []]
    assert followed(*answers, at=[0, 100, 110, 220, 300])[0]


def test_the_jobs_of_all_of_a_service_or_one_are_found() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        jobs = [{"job": 1, "status": "running"}, {"job": 2, "status": "finished"}]
        a, b = {"name": "a", "jobs": jobs}, {"name": "b", "jobs": jobs[:1]}
        alone = {"/services/a": a, "/services/b": b}.get(request.url.path)
        found = {"body": alone} if alone else {"head": {"services": [a, b]}}
        return httpx.Response(200, json={"status": {"code": 200, "msg": "OK"}} | found)

    async def numbers(*asked: Any) -> list[tuple[str, int]]:
        transport = httpx.MockTransport(respond)
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as http:
            return [(name, item["job"]) for name, item in await jobs_of(Api(http), *asked)]

    assert asyncio.run(numbers()) == [("a", 1), ("a", 2), ("b", 1)]
    assert asyncio.run(numbers("a")) == [("a", 1), ("a", 2)]
    assert asyncio.run(numbers("a", 2)) == [("a", 2)]
    assert asyncio.run(numbers("b", 2)) == []


def test_a_service_that_is_gone_is_an_error_at_once() -> None:
    with pytest.raises(Refused, match=r"Service Not Found \(1002\)"):
        followed([("a", RUNNING)], GONE, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_following_and_is_the_exit_code(number: signal.Signals) -> None:
    async def jobs() -> Jobs:
        os.kill(os.getpid(), number)
        return [("a", RUNNING)]

    async def run() -> tuple[bool, int]:
        with Stop().listening() as stop:
            return await follow(jobs, progress=Seen(), stop=stop), stop.exit_code

    assert asyncio.run(run()) == (False, 128 + number)
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.parametrize("together", [True, False])
def test_a_second_signal_ends_what_does_not_end(together: bool) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        if together:
            os.kill(os.getpid(), signal.SIGTERM)

    async def run() -> None:
        with Stop().listening() as stop:
            asyncio.get_running_loop().call_soon(interrupt)
            assert await stop.wait(30)
            assert not together
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(typer.Exit) as ended:
        asyncio.run(run())
    assert ended.value.exit_code in (128 + signal.SIGTERM, 128 + signal.SIGINT)
