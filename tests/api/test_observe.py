"""Requests as they are seen from outside."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from dd_ray.api.app import build
from dd_ray.api.observe import Observe, request_id
from dd_ray.errors import ServiceNotFound
from dd_ray.logs import ACCESS
from dd_ray.services.request_counts import Requests
from tests.api.client import Client, ask_asgi
from tests.api.fake_server import FakeServer

ROUTES = frozenset({"/info", "/services/{name}", "/predict", "/predict/{name}"})


def kinds(counted: list[Requests]) -> dict[tuple[str, str, int], int]:
    return {(each.method, each.route, each.code): each.count for each in counted}


def test_a_request_keeps_its_id_or_gets_one(asking: Client) -> None:
    given = asking.http.request("GET", "/info", headers={"X-Request-ID": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    first, second = (asking.http.request("GET", "/info").headers["x-request-id"] for _ in "12")
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize("odd", ["a b", "x" * 201, "a\tb", "\x80"])
def test_an_id_that_is_none_is_replaced(odd: str) -> None:
    assert len(request_id({"headers": [(b"x-request-id", odd.encode("latin-1"))]})) == 32


def test_refusals_have_an_id_and_are_counted(fake: FakeServer) -> None:
    fake.error = ServiceNotFound("'s'")
    told: list[Requests] = []

    async def tell(requests: object) -> None:
        told.extend(requests)  # type: ignore[call-overload]

    app = Observe(build(fake), routes=ROUTES, tell=tell)
    for method, path in [
        ("GET", "/services/a"),
        ("GET", "//services/b/"),
        ("GET", "/nothing"),
        ("GET", "/services/a/b/../c"),
        ("BREW", "/info"),
    ]:
        ask_asgi(app, method, path=path, raw_path=path.encode())
    asyncio.run(app.flush())
    assert kinds(told) == {
        ("GET", "/services/{name}", 404): 3,
        ("GET", "other", 404): 1,
        ("other", "/info", 405): 1,
    }
    assert all(each.seconds > 0 for each in told)
    told.clear()
    asyncio.run(app.flush())
    assert told == []


def test_a_state_that_is_away_costs_numbers_only(fake: FakeServer) -> None:
    async def away(requests: object) -> None:
        raise ConnectionError

    asyncio.run(Observe(build(fake), routes=ROUTES, tell=away).flush())


def test_what_was_counted_arrives_by_itself(fake: FakeServer) -> None:
    async def play() -> list[Requests]:
        transport = httpx.ASGITransport(build(fake))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            await http.get("/info")
            while not fake.counted:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        return fake.counted

    assert kinds(asyncio.run(asyncio.wait_for(play(), 10))) == {("GET", "/info", 200): 1}


def test_lines_for_requests_are_asked_for(asking: Client, caplog: pytest.LogCaptureFixture) -> None:
    ACCESS.setLevel(logging.CRITICAL)
    asking.http.request("GET", "/info")
    ACCESS.setLevel(logging.INFO)
    asking.http.request("GET", "/info", headers={"x-request-id": "r1"})
    ACCESS.setLevel(logging.NOTSET)
    (record,) = (each for each in caplog.records if each.name == "dd_ray.access")
    shown = vars(record)
    assert [shown[name] for name in ("request", "method", "path", "code")] == [
        "r1",
        "GET",
        "/info",
        200,
    ]
