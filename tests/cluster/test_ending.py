"""A server that is told to end answers what is under way, and calls have a time."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.client import Client
from tests.cluster.edges import Lab, lab, needs_haproxy
from tests.cluster.faults import INPUT, trained
from tests.cluster.load import eventually
from tests.cluster.servers import Leavings, running


class SlowData:
    """A URL whose content comes when it is let go."""

    def __init__(self, content: str) -> None:
        self._content = content.encode()
        self.asked, self.go = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/x.csv"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(65536)
            self.asked.set()
            self.go.wait(60)
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(self._content)}\r\n\r\n"
            connection.sendall(head.encode() + self._content)

    def close(self) -> None:
        self.go.set()
        self._thread.join(10)
        self._listening.close()


def in_background(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """A call that goes on, and where its result will be."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


@needs_haproxy
def test_an_edge_that_ends_answers_what_is_under_way_and_takes_nothing_more() -> None:
    with lab(drain_s=20.0) as edge:
        replica = edge.replica("s")
        replica.delay_s = 3.0
        calling, answers = in_background(lambda: edge.call({"service": "s"}))
        eventually(lambda: replica.begun == 1)
        closing, _ = in_background(edge.close)
        eventually(lambda: refused(f"http://127.0.0.1:{edge.port}"))
        assert calling.is_alive()
        calling.join()
        closing.join()
        assert answers[0][0] == 200


@needs_haproxy
def test_an_edge_does_not_wait_for_ever() -> None:
    with lab() as edge:
        replica = edge.replica("s")
        replica.delay_s = 30.0
        calling, answers = in_background(lambda: broken_off(edge))
        eventually(lambda: replica.begun == 1)
        edge.close()
        calling.join(1)
        assert answers == [True]


def refused(url: str) -> bool:
    """Whether a call is not answered any more."""
    try:
        return httpx.get(f"{url}/info", timeout=5).status_code != 200
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return True


def broken_off(edge: Lab) -> bool:
    try:
        edge.call({"service": "s"})
    except (http.client.HTTPException, OSError):
        return True
    return False


@pytest.mark.ray
@pytest.mark.parametrize(
    ("proxy", "number"), [("edge", signal.SIGINT), ("ray", signal.SIGTERM)], ids=["edge", "ray"]
)
def test_a_server_answers_what_is_under_way_when_it_is_told_to_end(
    iris_csv: str, tmp_path: Path, proxy: str, number: signal.Signals
) -> None:
    """Also without an edge, where every call goes through the API; nothing is left of it."""
    env = {"DD_RAY_ALLOWED_HOSTS": "127.0.0.1", "DD_RAY_PREDICT_TIMEOUT_S": "6"}
    with (
        closing(SlowData(Path(iris_csv).read_text())) as slow,
        closing(SlowData("")) as stuck,
        running("--proxy", proxy, env=env) as (server, url),
        httpx.Client(base_url=url, timeout=120) as http,
    ):
        client = Client(http)
        trained(client, "s", tmp_path / "s", iris_csv)
        leavings = Leavings(server)
        assert len(leavings.haproxies) == (2 if proxy == "edge" else 0)  # with that of Serve
        code, answer = predicted(url, stuck.url)
        assert (code, answer["status"]["dd_code"]) == (504, 504)
        calling, answers = in_background(lambda: predicted(url, slow.url))
        assert slow.asked.wait(60)
        server.process.send_signal(number)
        eventually(lambda: refused(url), within_s=30)
        slow.go.set()
        calling.join(60)
        code, answer = answers[0]
        assert code == 200, answer
        assert len(answer["body"]["predictions"]) == 150
        assert server.wait() == 0
        assert server.lines[-1] == "dd-ray stops"
        leavings.check()


def predicted(url: str, data: str) -> tuple[int, Any]:
    with httpx.Client(base_url=url, timeout=60) as http:
        return Client(http).predict("s", data, input=INPUT)


@needs_haproxy
def test_idle_connections_keep_no_edge_from_ending() -> None:
    with lab(drain_s=60.0) as edge:
        edge.replica("s")
        idle = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=30)
        idle.request("POST", "/predict", b'{"service":"s"}')
        assert idle.getresponse().read()
        began = time.monotonic()
        edge.close()
        assert time.monotonic() - began < 20
        idle.close()
