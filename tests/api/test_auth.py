"""Who may call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from dd_ray.api.app import _ROUTES, build
from dd_ray.api.auth import OPEN, Access
from tests.api.client import AsgiHttp, ask_asgi
from tests.api.fake_server import FakeServer

KEY = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {KEY}"}

ROUTES = [(method, path.replace("{name}", "s")) for method, path, _ in _ROUTES if path not in OPEN]
OTHERS = [
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("BREW", "/info"),
    ("GET", "//info"),
    ("GET", "/healthz/../info"),
    ("GET", "/healthz/x"),
    ("GET", "/x/healthz"),
]


@pytest.fixture
def keyed(fake: FakeServer) -> Iterator[AsgiHttp]:
    """A server that asks for the key."""
    http = AsgiHttp(build(fake, Access(key=KEY)))
    yield http
    http.close()


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *OTHERS])
def test_no_route_is_answered_without_the_key(
    keyed: AsgiHttp, fake: FakeServer, method: str, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = keyed.request(method, f"http://test{path}", content=b"{}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        if method != "HEAD":
            status = answer.json()["status"]
            assert (status["code"], status["msg"], status["dd_code"]) == (401, "Unauthorized", 401)
            assert KEY not in answer.text
    assert fake.calls == []


def test_the_key_lets_in(keyed: AsgiHttp, fake: FakeServer) -> None:
    assert keyed.request("GET", "/services/s", headers=BEARER).status_code == 200
    with_password = keyed.request("GET", f"http://dd:{KEY}@test/services/s")
    assert with_password.status_code == 200
    assert fake.calls == [("get", "s"), ("get", "s")]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_asks_for_nothing(fake: FakeServer, path: str) -> None:
    code, _ = ask_asgi(build(fake, Access(key=KEY)), "GET", path=path)
    assert code == 200


def test_a_body_is_not_read_before_the_key_is_seen(fake: FakeServer) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b""}
    app: Any = build(fake, Access(key=KEY))
    asyncio.run(app({**scope, "headers": []}, receive, send))
    assert sent[0]["status"] == 401


def test_a_page_may_ask_what_it_may_do_and_see_a_refusal(fake: FakeServer) -> None:
    origin = "https://ui.example"
    http = AsgiHttp(build(fake, Access(key=KEY, origin=origin)))
    asking = {"Origin": origin, "Access-Control-Request-Headers": "authorization"}
    assert http.request("OPTIONS", "/train", headers=asking).status_code == 204
    refused = http.request("GET", "/info", headers={"Origin": origin})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin
    assert http.request("GET", "/info", headers={"Origin": origin} | BEARER).status_code == 200
    http.close()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Origin": "http://test"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "test"}, 403),
        ({"Origin": "http://test:81"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://ui.example"}, 200),
    ],
)
def test_a_page_of_another_origin_may_not_call(
    fake: FakeServer, headers: dict[str, str], code: int
) -> None:
    """Such as one that its visitor's browser lets send a form to a server on his machine."""
    http = AsgiHttp(build(fake, Access(origin="https://ui.example")))
    for method, path in (("GET", "/train?service=s&job=1"), ("POST", "/predict")):
        answer = http.request(method, path, content=b'{"service":"s"}', headers=headers)
        assert answer.status_code == code
    assert len(fake.calls) == (2 if code == 200 else 0)
    http.close()


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8080", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_a_local_server_without_a_key_answers_to_no_name(
    fake: FakeServer, host: str, code: int
) -> None:
    """A page whose name was made to mean 127.0.0.1 is of the same origin as the server then."""
    headers = [(b"host", host.encode())]
    app = build(fake, Access(local_names=True))
    assert ask_asgi(app, "GET", path="/services/s", headers=headers)[0] == code
    headers.append((b"authorization", f"Bearer {KEY}".encode()))
    app = build(fake, Access(local_names=True, key=KEY))
    assert ask_asgi(app, "GET", path="/services/s", headers=headers)[0] == 200
