"""HTTP at the edge: connections, errors, clients that are slow to come or quick to leave."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator

import pytest

from dd_ray.cluster.edge.config import configuration
from tests.cluster.edges import Lab, lab, needs_haproxy
from tests.cluster.load import eventually
from tests.cluster.upstream import Upstream

pytestmark = needs_haproxy

BODY = b'{"service":"s"}'
PADDED = b'{"service":"s","data":["%b"]}' % (b"x" * 1_000_000)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Lab, Upstream]]:
    with lab() as here:
        yield here, here.replica("s")


@pytest.fixture
def edge(shared: tuple[Lab, Upstream]) -> Iterator[Lab]:
    """Its fakes are as they were when a test is over."""
    here, replica = shared
    yield here
    for fake in (here.serve, replica):
        fake.status, fake.content, fake.content_type = 200, b"", "application/json"
        fake.delay_s, fake.hang_ups = 0.0, 0


@pytest.fixture
def replica(shared: tuple[Lab, Upstream]) -> Upstream:
    return shared[1]


def post(body: bytes, *headers: bytes, path: bytes = b"/predict") -> bytes:
    lines = [
        b"POST %b HTTP/1.1" % path,
        b"host: localhost",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


def test_requests_in_one_go_are_answered_in_their_order(edge: Lab) -> None:
    sent = [post(BODY), post(b'{"service":"nope"}'), post(BODY, path=b"/info"), post(BODY)]
    last = post(BODY, b"connection: close", path=b"/predict/s")
    content = b"".join(edge.raw(*sent, last)).decode()
    assert re.findall('"who": "([^"]+)"', content) == ["s-a", "serve", "serve", "s-a", "s-a"]


def test_a_request_that_comes_byte_by_byte_is_read(edge: Lab) -> None:
    sent = post(b'{"data":[],"service":"s"}', b"connection: close")
    assert b'"who": "s-a"' in b"".join(edge.raw(*(bytes([byte]) for byte in sent)))


def test_connections_are_kept_on_both_sides(edge: Lab, replica: Upstream) -> None:
    """A client keeps its own, and all of them share those to a replica."""
    accepted = replica.accepted
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
        ports = set()
        for _ in range(10):
            connection.request("POST", "/predict", BODY)
            connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
        connection.close()
        assert len(ports) == 1
    assert replica.accepted - accepted <= 1


@pytest.mark.parametrize("path", [b"/predict", b"/predict/s"])
def test_a_client_that_asks_whether_to_send_is_told_once(edge: Lab, path: bytes) -> None:
    head, body = asking(path)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as client:
        client.sendall(head)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        answer = client.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"100-continue" not in answer  # the replica is not asked again


def test_elsewhere_serve_says_whether_to_send(edge: Lab) -> None:
    answer = b"".join(edge.raw(*asking(b"/train")))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"expect": "100-continue"' in answer


def asking(path: bytes) -> tuple[bytes, bytes]:
    sent = post(BODY, b"expect: 100-continue", b"connection: close", path=path)
    return sent[: -len(BODY)], BODY


def test_http_1_0_is_answered(edge: Lab) -> None:
    sent = post(BODY).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b" 200 " in b"".join(edge.raw(sent)).split(b"\r\n")[0]


def test_what_a_replica_or_the_api_answers_is_the_answer(edge: Lab, replica: Upstream) -> None:
    for fake, path in ((replica, "/predict"), (edge.serve, "/info")):
        for status in (400, 404, 409, 500, 502, 503):
            fake.status, fake.content = status, b'{"status":{"code":%d}}' % status
            asked = fake.requests
            assert edge.call(BODY, path=path) == (status, {"status": {"code": status}})
            assert fake.requests == asked + 1


def test_what_serve_says_while_the_api_is_away_is_503_in_the_envelope(edge: Lab) -> None:
    for status in (404, 500, 502, 503, 504):
        edge.serve.status = status
        edge.serve.content, edge.serve.content_type = b"Internal Server Error", "text/plain"
        response, content = edge.exchange(b"", path="/info", method="GET")
        assert_envelope(503, response, content)


def test_a_page_that_is_no_error_is_left_alone(edge: Lab) -> None:
    edge.serve.content, edge.serve.content_type = b"<html>", "text/html"
    assert edge.exchange(b"", path="/docs", method="GET")[1] == b"<html>"


def test_a_predict_is_sent_again_a_few_times(edge: Lab, replica: Upstream) -> None:
    """Not for ever: it may be what ends the replicas."""
    for path in ("/predict", "/predict/s"):
        replica.hang_ups = 1
        assert edge.call(BODY, path=path)[1]["who"] == "s-a"
        replica.hang_ups = 100
        response, content = edge.exchange(BODY, path=path)
        assert_envelope(502, response, content)
        assert replica.hang_ups == 96


def test_a_call_past_the_buffer_is_not_sent_twice(edge: Lab, replica: Upstream) -> None:
    """HAProxy has no copy of it. It hangs up itself, or answers, as it finds right."""
    replica.hang_ups = 2
    with contextlib.suppress(http.client.RemoteDisconnected):
        assert edge.exchange(PADDED)[0].status == 502
    assert replica.hang_ups == 1


def test_what_is_no_predict_is_never_sent_twice(edge: Lab) -> None:
    for method, path in (("POST", "/train"), ("PUT", "/services/s"), ("GET", "/info")):
        edge.serve.hang_ups = 2
        response, content = edge.exchange(BODY, path=path, method=method)
        assert_envelope(502, response, content)
        assert edge.serve.hang_ups == 1


def test_a_call_to_serve_has_a_connection_of_its_own(edge: Lab) -> None:
    """Serve closes idle ones when it reloads."""
    for path in ("/info", "/info", "/predict"):
        accepted = edge.serve.accepted
        assert edge.call(b"{}", path=path)[0] == 200
        assert edge.serve.accepted == accepted + 1
        eventually(lambda: not edge.serve.connections)


@pytest.mark.parametrize("path", [b"/predict", b"/train"])
def test_a_client_that_leaves_ends_its_request(edge: Lab, replica: Upstream, path: bytes) -> None:
    fake = replica if path == b"/predict" else edge.serve
    fake.delay_s = 600
    with socket.create_connection(("127.0.0.1", edge.port)) as client:
        client.sendall(post(BODY, path=path))
        eventually(lambda: fake.begun == 1)
        busy = len(fake.connections)
    eventually(lambda: len(fake.connections) < busy)
    fake.begun -= 1


def test_a_client_that_leaves_in_its_body_is_nothing_to_anybody(
    edge: Lab, replica: Upstream
) -> None:
    asked = replica.requests, edge.serve.requests
    for path in (b"/predict", b"/predict/s", b"/train"):
        for sent in (post(PADDED, path=path)[:-9], post(BODY, path=path)[:-1]):
            with socket.create_connection(("127.0.0.1", edge.port)) as client:
                client.sendall(sent)
    assert edge.who("s") == "s-a"
    assert (replica.requests, edge.serve.requests) == (asked[0] + 1, asked[1])


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 40_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_the_edge_lives(edge: Lab, sent: bytes) -> None:
    assert b"".join(edge.raw(sent)).startswith(b"HTTP/1.1 400 ")
    assert edge.who("s") == "s-a"


def test_a_body_has_one_length(edge: Lab) -> None:
    """Of two, the chunks count, and the replica is told of them alone."""
    sent = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\n"
    sent += b"transfer-encoding: chunked\r\n\r\nf\r\n" + BODY + b"\r\n0\r\n\r\n"
    _, _, content = b"".join(edge.raw(sent)).partition(b"\r\n\r\n")
    answer = json.loads(content)
    assert answer["length"] == len(BODY)
    assert "content-length" not in answer["headers"]


def test_serve_that_is_away_is_503_after_some_attempts() -> None:
    with lab() as here:
        here.serve.stop_listening()
        response, content = here.exchange(b"", path="/info", method="GET")
        assert_envelope(503, response, content)


def test_every_answer_of_haproxys_own_is_the_envelope() -> None:
    found = re.findall(
        r"http-error status (\d+) content-type application/json string '(.*)'( hdr retry-after 1)?",
        configuration(0),
    )
    assert [int(code) for code, _, _ in found] == [400, 408, 500, 502, 503, 504]
    for code, content, again in found:
        status = json.loads(content)["status"]
        assert list(status) == ["code", "msg", "dd_code", "dd_msg"]
        assert status["code"] == status["dd_code"] == int(code)
        assert bool(again) == ("try again" in status["dd_msg"]) == (int(code) > 500)


def assert_envelope(code: int, response: http.client.HTTPResponse, content: bytes) -> None:
    status = json.loads(content)["status"]
    assert (response.status, status["code"], status["dd_code"]) == (code, code, code)
    assert status["msg"]
    assert status["dd_msg"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "1"
    assert response.headers["x-request-id"]
