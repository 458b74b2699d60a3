"""Whatever comes in, an answer with the envelope goes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dd_ray.api.app import build
from dd_ray.api.docs import openapi
from dd_ray.connectors.table import CONNECTORS
from dd_ray.mllibs.table import MLLIBS
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client, ask_asgi
from tests.api.fake_server import FakeServer
from tests.api.schemas import values

FAST = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ROUTES = st.sampled_from(
    [("PUT", "/services/s"), ("POST", "/services/t"), ("POST", "/train"), ("POST", "/predict")]
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with a trained service `flowers`, shared by all examples."""
    http = AsgiHttp(build(local_server()))
    client = Client(http)
    client.create("flowers", str(tmp_path_factory.mktemp("m")), mllib={"nclasses": 2})
    client.train("flowers", "a,y\n1,0\n2,1", input={"label": "y"}, mllib={"iterations": 2})
    yield client
    http.close()


def check(answer: httpx.Response) -> None:
    """The envelope, and no failure that nobody has a name for."""
    status = answer.json()["status"]
    assert status["code"] == answer.status_code
    assert isinstance(status["msg"], str)
    if answer.status_code >= 400:
        assert answer.status_code in (400, 404, 405, 409, 413, 500)
    if answer.status_code >= 500:
        assert status["dd_code"] == 1007, answer.text
    assert "Traceback" not in answer.text
    assert "NaN" not in answer.text


@FAST
@given(ROUTES, st.binary(max_size=200))
def test_random_bytes(served: Client, route: tuple[str, str], body: bytes) -> None:
    answer = served.http.request(*route, content=body)
    check(answer)
    assert answer.status_code in (400, 404, 409)


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
Keys = st.sampled_from(
    ["service", "data", "parameters", "mllib", "model", "async", "type", "description"]
)
Calls = st.dictionaries(Keys, Json | st.just("flowers") | st.just("xgboost"), max_size=8)


@FAST
@given(ROUTES, Calls)
def test_random_json(served: Client, route: tuple[str, str], call: dict[str, Any]) -> None:
    check(served.http.request(*route, content=json.dumps(call).encode()))


SCHEMAS = openapi(CONNECTORS, MLLIBS)["components"]["schemas"]


def following(name: str) -> st.SearchStrategy[Any]:
    return values(SCHEMAS[name], SCHEMAS)


def _aimed(call: Any) -> Any:
    """The same call, but to the service that there is, and where a call can do no harm."""
    call = dict(call, service="flowers")
    call.pop("model", None)
    parameters = call.get("parameters")
    if not isinstance(parameters, dict):
        return call
    output = parameters.get("output")
    if isinstance(output, dict):
        output.pop("network", None)
        output.pop("target_repository", None)
    mllib = parameters.get("mllib")
    if isinstance(mllib, dict):
        mllib.pop("iterations", None)
        mllib["nclasses"] = 2
    return call


@FAST
@given(following("PredictCall"))
def test_calls_that_follow_the_schema_of_predict(served: Client, call: Any) -> None:
    check(served.http.request("POST", "/predict", content=json.dumps(_aimed(call)).encode()))


@settings(FAST, max_examples=40)
@given(following("TrainCall"))
def test_calls_that_follow_the_schema_of_train(served: Client, call: Any) -> None:
    call = dict(_aimed(call), data=["a,y\n1,0\n2,1"])
    call["async"] = False
    check(served.http.request("POST", "/train", content=json.dumps(call).encode()))


@settings(FAST, max_examples=60)
@given(following("CreateCall"), Json)
def test_calls_that_follow_the_schema_of_create(served: Client, call: Any, extra: Any) -> None:
    call = dict(call, model=extra)
    check(served.http.request("PUT", "/services/x", content=json.dumps(call).encode()))


@FAST
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20))
def test_random_paths(served: Client, path: str) -> None:
    url = httpx.URL("http://test/").copy_with(raw_path=("/" + _quoted(path)).encode())
    for method in ("GET", "POST", "DELETE"):
        check(served.http.request(method, url))  # type: ignore[arg-type]  # a URL is as good


def _quoted(path: str) -> str:
    return "".join(
        f"%{byte:02x}" if byte < 33 or byte > 126 or chr(byte) in "#?%" else chr(byte)
        for byte in path.encode()
    )


@FAST
@given(
    st.dictionaries(
        st.sampled_from(["service", "job", "timeout", "x.y", "clear"]), st.text(max_size=9)
    )
)
def test_random_queries(served: Client, query: dict[str, str]) -> None:
    query = {key: value for key, value in query.items() if key != "timeout" or value < "0"}
    for method, path in (("GET", "/train"), ("DELETE", "/train"), ("GET", "/info")):
        check(served.http.request(method, path, params=query))


KNOWN = st.sampled_from([b"/info", b"/services/", b"/services/a", b"/train", b"/predict", b"/docs"])
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"])


@FAST
@given(METHODS, st.lists(KNOWN | st.binary(max_size=9), max_size=3), st.binary(max_size=30))
def test_random_targets(method: str, parts: list[bytes], query: bytes) -> None:
    raw_path = b"/" + b"".join(parts)
    scope = {"path": raw_path.decode(errors="replace"), "raw_path": raw_path, "query_string": query}
    code, content = ask_asgi(build(FakeServer()), method, b'{"service":"s"}', **scope)
    if content.startswith(b"{"):
        assert json.loads(content)["status"]["code"] == code
    assert code in (200, 201, 400, 404, 405)


def test_a_body_past_the_limit_is_413_whole_and_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    from dd_ray import settings as module
    from dd_ray.settings import Settings

    monkeypatch.setattr(
        "dd_ray.api.body.settings", lambda: Settings.from_env({"DD_RAY_MAX_BODY_BYTES": "1000"})
    )
    assert module.settings().max_body_bytes > 1000
    http = AsgiHttp(build(local_server()))
    bomb = gzip.compress(b" " * 10_000_000)
    for body, headers in ((b" " * 1001, {}), (bomb, {"Content-Encoding": "gzip"})):
        answer = http.request("POST", "/predict", content=body, headers=headers)
        assert (answer.status_code, answer.json()["status"]["dd_code"]) == (413, 413)
    http.close()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b"[]", "an array, expected a JSON object"),
        (b"null", "null"),
        (b'{"service":"s",}', "not JSON"),
        (b'{"service":"s"} x', "not JSON"),
        (b'{"service":\xff}', "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "more than 64"),
    ],
)
def test_what_is_no_call_is_400(served: Client, body: bytes, text: str) -> None:
    code, answer = served.call("POST", "/predict", raw=body)
    assert (code, answer["status"]["dd_code"]) == (400, 400)
    assert text in answer["status"]["dd_msg"]


def test_nan_is_read_and_never_written(served: Client) -> None:
    body = (
        b'{"service":"flowers","data":["1"],"parameters":{"output":{"confidence_threshold":NaN}}}'
    )
    assert served.call("POST", "/predict", raw=body)[0] == 200


def test_unknown_paths_and_methods(served: Client) -> None:
    assert served.call("GET", "/nope") == (404, {"status": {"code": 404, "msg": "NotFound"}})
    assert served.call("GET", "/services") == (404, {"status": {"code": 404, "msg": "NotFound"}})
    assert served.call("GET", "/services/a/b")[0] == 404
    code, answer = served.call("DELETE", "/info")
    assert (code, answer) == (405, {"status": {"code": 405, "msg": "MethodNotAllowed"}})


def test_an_exception_that_nobody_foresaw_is_500_without_its_text() -> None:
    class Broken(FakeServer):
        async def info(self, *, status: bool) -> Any:
            raise RuntimeError("secret")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(build(Broken()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/info")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.json()["status"]["dd_code"] == 500
    assert "secret" not in answer.text
