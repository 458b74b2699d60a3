"""Calls of the API: what is sent, and what becomes of answers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from dd_ray.cli.client import Api, Refused, Unreachable, over_http

OK = {"status": {"code": 200, "msg": "OK"}}


def calling(
    call: Callable[[Api], Coroutine[Any, Any, Any]], answer: httpx.Response | Exception
) -> tuple[Any, list[httpx.Request]]:
    """What a call returns and sends, when it is answered so."""
    sent: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run() -> Any:
        transport = httpx.MockTransport(respond)
        async with httpx.AsyncClient(transport=transport, base_url="http://host:1") as http:
            return await call(Api(http))

    return asyncio.run(run()), sent


@pytest.mark.parametrize(
    ("call", "method", "target"),
    [
        (lambda api: api.info(), "GET", "/info?status=true"),
        (lambda api: api.create("a", {}), "PUT", "/services/a"),
        (lambda api: api.service("Café /x"), "GET", "/services/Caf%C3%A9%20%2Fx"),
        (lambda api: api.delete("a?b", clear="lib"), "DELETE", "/services/a%3Fb?clear=lib"),
        (lambda api: api.train({}), "POST", "/train"),
        (
            lambda api: api.job("a&b", 2),
            "GET",
            "/train?service=a%26b&job=2&parameters.output.measure_hist=true",
        ),
        (lambda api: api.stop_job("a", 1), "DELETE", "/train?service=a&job=1"),
        (lambda api: api.predict({}), "POST", "/predict"),
    ],
)
def test_calls_go_to_their_resources(call: Any, method: str, target: str) -> None:
    _, (request,) = calling(call, httpx.Response(200, json=OK))
    assert (request.method, request.url.raw_path.decode()) == (method, target)


def test_an_error_is_the_text_of_the_api() -> None:
    status = {"code": 400, "msg": "BadRequest", "dd_code": 1005, "dd_msg": "Service Input Error: x"}
    answer = httpx.Response(400, json={"status": status})
    for call in (lambda api: api.train({}), lambda api: api.predict({})):
        with pytest.raises(Refused, match=r"^Service Input Error: x \(1005\)$") as caught:
            calling(call, answer)
        assert caught.value.code == 1005
    with pytest.raises(Refused, match=r"^NotFound \(404\)$"):
        calling(
            lambda api: api.info(),
            httpx.Response(404, json={"status": {"code": 404, "msg": "NotFound"}}),
        )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(502, text="bad gateway"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"detail": "Not Found"}),
        httpx.Response(200, content=b"\xff"),
    ],
)
def test_whoever_answers_otherwise_is_not_this_api(answer: httpx.Response) -> None:
    with pytest.raises(Unreachable, match="http://host:1 does not speak the DeepDetect API"):
        calling(lambda api: api.info(), answer)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("")])
def test_no_answer_is_said_with_its_reason(error: Exception) -> None:
    with pytest.raises(Unreachable, match=r"no answer from http://host:1: (refused|ReadTimeout)"):
        calling(lambda api: api.info(), error)


def test_what_a_template_made_is_text() -> None:
    text, _ = calling(lambda api: api.predict({}), httpx.Response(200, text="cat: 0.9"))
    assert text == "cat: 0.9"


@pytest.mark.parametrize("address", ["ftp://host", "http://", "http://[::1", "http://host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Unreachable, match="expected http://HOST:PORT"):
        over_http(address)


def test_the_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_RAY_API_KEY", "secret")
    assert over_http("host").headers["authorization"] == "Bearer secret"
    monkeypatch.delenv("DD_RAY_API_KEY")
    assert "authorization" not in over_http("host").headers
