"""What public clients put on the wire, and what the server is asked then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.client import Client
from tests.api.fake_server import FakeServer

CREATE = {
    "mllib": "xgboost",
    "description": "d",
    "type": "supervised",
    "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}, "output": {}},
    "model": {"repository": "/m"},
}
TRAIN = {"service": "S1", "async": True, "parameters": {"input": {}}, "data": ["/d.csv"]}
PREDICT = {"service": "S1", "parameters": {}, "data": ["1,2"]}

JSON_TYPE = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
TEXT_TYPE = {
    "Content-Type": "text/plain;charset=UTF-8",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Accept-Encoding": "gzip",
}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
NO_TYPE: dict[str, str] = {}

STARTED = ("train", TRAIN)
CREATED = ("create", "S1", CREATE)
PREDICTED = ("predict", "S1")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "called"),
    [
        # curl, as the reference has it
        ("PUT", "/services/S1", FORM_TYPE, CREATE, CREATED),
        ("POST", "/train", FORM_TYPE, TRAIN, STARTED),
        ("POST", "/predict", FORM_TYPE, PREDICT, PREDICTED),
        # dd_client
        ("PUT", "/services/S1", JSON_TYPE, CREATE, CREATED),
        ("DELETE", "/services/S1?clear=full", JSON_TYPE, None, ("delete", "S1", "full")),
        ("POST", "/train", JSON_TYPE, TRAIN, STARTED),
        (
            "GET",
            "/train?service=S1&job=1&timeout=2&parameters.output.measure_hist=True",
            JSON_TYPE,
            None,
            ("job", "S1", 1, 2.0, True, 10_000),
        ),
        ("DELETE", "/train?service=S1&job=1", JSON_TYPE, None, ("stop", "S1", 1)),
        ("POST", "/predict", JSON_TYPE, PREDICT | {"index_uris": []}, PREDICTED),
        # deepdetect-js and the Platform UI
        ("GET", "/info?", TEXT_TYPE, None, ("info", False)),
        ("GET", "/info?status=true", TEXT_TYPE, None, ("info", True)),
        ("PUT", "/services/S1", TEXT_TYPE, CREATE, CREATED),
        ("DELETE", "/services/S1", TEXT_TYPE, {"clear": "lib"}, ("delete", "S1", "")),
        (
            "GET",
            "/train?service=S1&job=1&timeout=0&parameters.output.max_hist_points=1000",
            TEXT_TYPE,
            None,
            ("job", "S1", 1, 0.0, True, 1000),
        ),
        ("GET", "/train?service=S1&job=&timeout=0", TEXT_TYPE, None, ("job", "S1", None, 0.0)),
        ("DELETE", "/train?service=S1&job=1", TEXT_TYPE, {}, ("stop", "S1", 1)),
        # dd_widgets
        ("GET", "//services/S1", NO_TYPE, None, ("get", "S1")),
        ("PUT", "//services/S1", NO_TYPE, CREATE, CREATED),
        ("POST", "//train", NO_TYPE, TRAIN, STARTED),
        ("GET", "//train?service=S1&job=1&timeout=10", NO_TYPE, None, ("job", "S1", 1, 10.0)),
        ("POST", "//predict", NO_TYPE, PREDICT, PREDICTED),
        ("DELETE", "//services/S1?clear=lib", NO_TYPE, None, ("delete", "S1", "lib")),
        # the exporter, godd, Ruby and Java
        ("GET", "/services/S1", {"Accept-Encoding": "identity"}, None, ("get", "S1")),
        ("POST", "/predict", {**JSON_TYPE, "Connection": "close"}, PREDICT, PREDICTED),
        ("GET", "/train?service=S1&job=1&timeout=20", JSON_TYPE, None, ("job", "S1", 1, 20.0)),
        ("PUT", "/train", JSON_TYPE, TRAIN, STARTED),
        # the extensions of newer servers
        ("DELETE", "/train?service=S1&job=1&wait=false&force=1", NO_TYPE, None, ("stop", "S1", 1)),
    ],
)
def test_a_client_is_understood(
    asking: Client,
    fake: FakeServer,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    called: tuple[Any, ...],
) -> None:
    code, answer = asking.call(method, f"http://test{path}", body, **headers)
    assert code == answer["status"]["code"] == (201 if _creates(method, path) else 200)
    (asked,) = fake.calls
    assert asked[: len(called)] == called
    if body is not None and method != "DELETE":
        assert json.loads(asked[-1]) == body


def _creates(method: str, path: str) -> bool:
    return method == "PUT" or path.endswith("/train")


@pytest.mark.parametrize("service", ["123", "1-2", "true", "null", "café"])
def test_a_service_is_a_name_whatever_it_looks_like(
    asking: Client, fake: FakeServer, service: str
) -> None:
    for method in ("GET", "DELETE"):
        asking.call(method, f"/train?service={service}&job=1")
    assert [call[1] for call in fake.calls] == [service, service]


@pytest.mark.parametrize(
    ("query", "job"),
    [("job=1", 1), ("job=1.5", 1), ("job=-3", -3), ("job=1&job=2", 2), ("job=", None), ("", None)],
)
def test_jobs_are_numbers(asking: Client, fake: FakeServer, query: str, job: int | None) -> None:
    asking.call("GET", f"/train?service=s&{query}")
    asking.call("DELETE", f"/train?service=s&{query}")
    assert [call[2] for call in fake.calls] == [job, job]


@pytest.mark.parametrize(
    ("query", "timeout_s"),
    [("", 0.0), ("timeout=", 0.0), ("timeout=-5", 0.0), ("timeout=.5", 0.5), ("timeout=9e9", None)],
)
def test_a_wait_is_never_negative(
    asking: Client, fake: FakeServer, query: str, timeout_s: float | None
) -> None:
    code, answer = asking.call("GET", f"/train?service=s&job=1&{query}")
    if timeout_s is None:
        assert (code, answer["status"]["dd_code"]) == (400, 400)
        assert "timeout" in answer["status"]["dd_msg"]
    else:
        assert fake.calls[0][3] == timeout_s


def test_a_wait_has_an_end(asking: Client, fake: FakeServer) -> None:
    asking.call("GET", "/train?service=s&job=1&timeout=99999999999999999999")
    assert fake.calls[0][3] == 3600.0
