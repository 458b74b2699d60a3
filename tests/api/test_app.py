"""Paths, methods, headers and failures: what all resources have in common."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from dd_ray.api.app import build
from dd_ray.api.auth import Access
from dd_ray.errors import ServiceNotFound, Unavailable
from tests.api.client import AsgiHttp, Client, ask_asgi
from tests.api.fake_server import FakeServer


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("/info", ("info", False)),
        ("//info", ("info", False)),
        ("/info/", ("info", False)),
        ("/info?", ("info", False)),
        ("/services/a", ("get", "a")),
        ("//services///a//", ("get", "a")),
        ("/services/caf%C3%A9", ("get", "café")),
        ("/services/caf%c3%a9%20MAJ", ("get", "café MAJ")),
        ("/services/a%2525", ("get", "a%25")),
        ("/services/a+b", ("get", "a+b")),
        ("/services/%3Fa%23", ("get", "?a#")),
    ],
)
def test_paths_that_mean_the_same(
    asking: Client, fake: FakeServer, path: str, called: tuple[Any, ...]
) -> None:
    assert asking.call("GET", f"http://test{path}")[0] == 200
    assert fake.calls == [called]


@pytest.mark.parametrize(
    "path", ["/", "/services", "/Info", "/services/a/b", "/predict/x/y", "/inf"]
)
def test_an_unknown_path_is_404(asking: Client, fake: FakeServer, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        answer = asking.call(method, path)
        assert answer == (404, {"status": {"code": 404, "msg": "NotFound"}})
    assert fake.calls == []


@pytest.mark.parametrize("path", ["/services/a%2Fb", "/services/a%2fb", "/services/%ff"])
def test_a_path_that_names_nothing_possible_is_400(
    asking: Client, fake: FakeServer, path: str
) -> None:
    code, answer = asking.call("GET", path)
    assert (code, answer["status"]["dd_code"]) == (400, 400)
    assert fake.calls == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/info", {"GET", "HEAD"}),
        ("/services/a", {"GET", "HEAD", "PUT", "POST", "DELETE"}),
        ("/train", {"GET", "PUT", "POST", "DELETE"}),
        ("/predict", {"POST"}),
    ],
)
def test_other_methods_are_405_and_told_which(
    asking: Client, fake: FakeServer, path: str, allowed: set[str]
) -> None:
    every = {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "BREW"}
    for method in every - allowed:
        answer = asking.http.request(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed
        if method != "HEAD":
            assert answer.json() == {"status": {"code": 405, "msg": "MethodNotAllowed"}}
    assert fake.calls == []


def test_head_is_answered_like_get(asking: Client) -> None:
    for path in ("/info", "/services/a"):
        head, get = (
            asking.http.request(method, path, headers={"x-request-id": "r"})
            for method in ("HEAD", "GET")
        )
        assert (head.status_code, head.headers) == (get.status_code, get.headers)


def test_head_of_a_job_does_not_take_its_report(asking: Client, fake: FakeServer) -> None:
    assert asking.http.request("HEAD", "/train?service=s&job=1").status_code == 405
    assert fake.calls == []


def test_every_answer_is_json(asking: Client, fake: FakeServer) -> None:
    for method, path in (
        ("GET", "/info"),
        ("GET", "/nope"),
        ("PUT", "/info"),
        ("POST", "/predict"),
        ("GET", "/services/%ff"),
    ):
        answer = asking.http.request(method, path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["status"]["code"] == answer.status_code
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_error_has_its_status_and_dd_code(asking: Client, fake: FakeServer) -> None:
    fake.error = ServiceNotFound("'s'")
    status = {"code": 404, "msg": "NotFound", "dd_code": 1002, "dd_msg": "Service Not Found: 's'"}
    assert asking.call("GET", "/services/s") == (404, {"status": status})


def test_unavailable_says_when_to_come_back(asking: Client, fake: FakeServer) -> None:
    fake.error = Unavailable("the service is starting")
    answer = asking.http.request("POST", "/predict", content=b'{"service":"s"}')
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["status"]["dd_code"] == 503


def test_a_failure_is_logged_and_answered_without_its_text(
    asking: Client, fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    fake.error = RuntimeError("secret")
    with caplog.at_level(logging.ERROR):
        answer = asking.http.request("GET", "/services/x%0Ay")
    assert answer.status_code == 500
    status = answer.json()["status"]
    assert (status["msg"], status["dd_code"]) == ("InternalError", 500)
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert record.getMessage() == "GET /services/{name} failed"
    assert record.exc_info is not None


def test_a_cancelled_call_is_not_answered(fake: FakeServer) -> None:
    fake.error = asyncio.CancelledError()

    async def ask() -> None:
        transport = httpx.ASGITransport(build(fake))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/info")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())


def test_a_server_that_gives_only_the_decoded_path_will_do(fake: FakeServer) -> None:
    code, _ = ask_asgi(build(fake), "GET", path="//services/100%25é")
    assert code == 200
    assert fake.calls == [("get", "100%25é")]


def test_answers_are_compressed_only_for_those_who_ask(asking: Client, fake: FakeServer) -> None:
    path = "/services/" + "x" * 2000
    plain = asking.http.request("GET", path, headers={"Accept-Encoding": "identity"})
    packed = asking.http.request("GET", path, headers={"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed.json() == plain.json()


def test_a_named_origin_may_call_from_browsers(fake: FakeServer) -> None:
    http = AsgiHttp(build(fake, Access(origin="https://ui.example")))
    preflight = http.request(
        "OPTIONS", "/services/a", headers={"Access-Control-Request-Headers": "cache-control"}
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    answers = [
        preflight,
        http.request("GET", "/info"),
        http.request("GET", "/nope"),
        http.request("POST", "/predict"),
        http.request("GET", "/services/%ff"),
    ]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://ui.example"
        methods = answer.headers["access-control-allow-methods"].split(", ")
        assert {"GET", "POST", "PUT", "DELETE"} <= set(methods)
        assert "cache-control" in answer.headers["access-control-allow-headers"].lower()
    assert [answer.status_code for answer in answers] == [204, 200, 404, 400, 400]
    http.close()
