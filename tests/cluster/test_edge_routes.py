"""Which request goes where at the edge."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.edges import KEY, Lab, lab, needs_haproxy

pytestmark = needs_haproxy

BUFFER = 32768
"""`tune.bufsize`; a kilobyte of it is kept for headers that the edge adds."""


@pytest.fixture(scope="module")
def edge() -> Iterator[Lab]:
    with lab() as here:
        for service in ("s", "other", "a_b-9"):
            here.replica(service)
        yield here


def routed(edge: Lab, body: bytes, **given: Any) -> object:
    """Who answered, having seen all of the body."""
    code, answer = edge.call(body, **given)
    assert code == 200
    assert (answer["length"], answer["checksum"]) == (len(body), zlib.crc32(body))
    return answer["who"]


@pytest.mark.parametrize(
    ("body", "who"),
    [
        (b'{"service":"s","data":["1"]}', "s-a"),
        (b' {\n"data" : [1, {"service": "other"}], "service" :\t"s" }', "s-a"),
        (b'{"service":"S"}', "s-a"),
        (b'{"service":"A_b-9"}', "a_b-9-a"),
        (b'{"service":"\\u0073"}', "s-a"),
        (b'{"parameters":{"service":"other"},"service":"s"}', "s-a"),
        (b'{"x":"\\"service\\":\\"other\\"","service":"s"}', "s-a"),
        (b'{"x":"}","y":"\\\\","service":"s"}', "s-a"),
        (b'{"Service":"other","service ":"other",".service":"other","service":"s"}', "s-a"),
        (b'{"service":"unknown"}', "serve"),
        (b'{"serv\\u0069ce":"s"}', "serve"),
        (b'{"service":" s"}', "serve"),
        ('{"service":"ſ"}'.encode(), "serve"),
        ('{"service":"é"}'.encode(), "serve"),
        (b'{"service":"s/other"}', "serve"),
        (b'{"service":["s"]}', "serve"),
        (b'{"service":{"s":"s"}}', "serve"),
        (b'{"service":null}', "serve"),
        (b'[{"service":"s"}]', "serve"),
        (b'"service"', "serve"),
        (b'{"data":["1"]}', "serve"),
        (b"{", "serve"),
        (b"", "serve"),
        (b"1", "serve"),
        (b'{"a":' * 30 + b"1" + b"}" * 29 + b',"service":"s"}', "serve"),
    ],
)
def test_a_body_goes_to_the_service_it_names_or_to_serve(edge: Lab, body: bytes, who: str) -> None:
    assert routed(edge, body) == who
    assert routed(edge, body, path="//predict/") == who


@pytest.mark.parametrize(
    ("path", "who", "seen"),
    [
        ("/predict/s", "s-a", "/predict/s"),
        ("//predict//S/?x=1", "s-a", "/predict/s?x=1"),
        ("/predict/other", "other-a", "/predict/other"),
        ("/predict/nope", "serve", "/predict/nope"),
        ("/predict/s/x", "serve", "/predict/s/x"),
        ("/predict/%73", "serve", "/predict/%73"),
        ("/predicts/s", "serve", "/predicts/s"),
        ("/predict%2Fs", "serve", "/predict%2Fs"),
        ("/PREDICT/s", "serve", "/PREDICT/s"),
        ("/", "serve", "/"),
    ],
)
def test_a_path_may_name_the_service_instead(edge: Lab, path: str, who: str, seen: str) -> None:
    """The body is not looked at, and a replica always sees the plain path."""
    code, answer = edge.call(b'{"service":"a_b-9"}', path=path)
    assert (code, answer["who"], answer["path"]) == (200, who, seen)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info"),
        ("PUT", "/services/s"),
        ("POST", "/train"),
        ("PUT", "/predict"),
        ("DELETE", "/predict/s"),
        ("GET", "/predict/s"),
        ("OPTIONS", "/predict"),
    ],
)
def test_all_else_goes_to_serve_as_it_is(edge: Lab, method: str, path: str) -> None:
    code, answer = edge.call(b'{"service":"s"}', method=method, path=path)
    assert (code, answer["who"]) == (200, "serve")
    assert (answer["method"], answer["path"], answer["length"]) == (method, path, 15)


def test_encoded_bodies_go_to_serve(edge: Lab) -> None:
    for encoding in ("gzip", "deflate", "br", "identity"):
        given = {"content-encoding": encoding}
        assert edge.call(b'{"service":"s"}', headers=given)[1]["who"] == "serve"
        assert edge.call(b"{}", headers=given, path="/predict/s")[1]["who"] == "serve"


@pytest.mark.parametrize("size", [28, 1000, BUFFER - 2000, BUFFER, BUFFER + 1, 50_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_whose_service_comes_first_goes_to_it_at_any_size(
    edge: Lab, size: int, chunked: bool
) -> None:
    body = b'{"service":"s","data":["' + b"x" * (size - 27) + b'"]}'
    code, answer = edge.call(in_chunks(body) if chunked else body)
    assert (code, answer["who"]) == (200, "s-a")
    assert (answer["length"], answer["checksum"]) == (size, zlib.crc32(body))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_service_behind_the_buffer_is_found_by_serve(edge: Lab, chunked: bool) -> None:
    near = range(BUFFER - 1500, BUFFER, 9)  # goes where it likes, but whole
    for size, who in [
        (BUFFER - 3000, {"s-a"}),
        *((size, {"s-a", "serve"}) for size in near),
        *((size, {"serve"}) for size in (BUFFER, BUFFER + 1, 3_000_000)),
    ]:
        body = b'{"data":["' + b"x" * (size - 27) + b'"],"service":"s"}'
        code, answer = edge.call(in_chunks(body) if chunked else body)
        assert (code, answer["length"], answer["checksum"]) == (200, size, zlib.crc32(body))
        assert answer["who"] in who


@pytest.mark.parametrize(
    "body",
    [
        b'{"service":"s","service":"other"}',
        b'{"service":"s","serv\\u0069ce":"other"}',
        b'{"service":"s\\u0000"}',
        b'{"service":"s"} no JSON',
    ],
)
def test_what_the_edge_misreads_gets_to_a_replica_with_all_that_tells_it_so(
    edge: Lab, body: bytes
) -> None:
    """services.predict.parse refuses a call that is another service's."""
    assert routed(edge, body) == "s-a"


def in_chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + 7001] for start in range(0, len(body), 7001))


def test_the_key_is_the_edges_own(edge: Lab) -> None:
    for path, body in (("/predict", b'{"service":"s"}'), ("/info", b"")):
        for given in ({}, {"x-dd-ray-key": "guessed"}, {"X-DD-Ray-Key": ""}):
            assert edge.call(body, path=path, headers=given)[1]["keys"] == [KEY]


def test_a_request_has_an_id_which_may_be_the_clients(edge: Lab) -> None:
    ids = []
    for body in (b'{"service":"s"}', b'{"service":"nope"}'):
        response, content = edge.exchange(body)
        ids.append(json.loads(content)["headers"]["x-request-id"])
        assert response.headers["x-request-id"] == ids[-1]
        response, content = edge.exchange(body, headers={"x-request-id": "mine"})
        assert json.loads(content)["headers"]["x-request-id"] == "mine"
        assert response.headers["x-request-id"] == "mine"
    assert len(set(ids)) == 2
    assert all(len(each) == 36 for each in ids)
