"""The reference's example calls, and what only a real server shows."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.client import Client
from tests.cluster.servers import Server

pytestmark = pytest.mark.ray

TRAIN = {
    "mllib": {"objective": "multi:softprob", "iterations": 20, "booster_params": {"max_depth": 10}},
    "input": {
        "label": "target",
        "id": "id",
        "separator": ",",
        "shuffle": True,
        "seed": 1,
        "test_split": 0.15,
        "scale": True,
    },
    "output": {"measure": ["acc", "mcll"]},
}


def test_the_examples_of_the_reference(wire: Client, iris_csv: str, tmp_path: Path) -> None:
    """Info, create, blocking and asynchronous training, status, predict, measures, delete."""
    code, answer = wire.call("GET", "/info")
    assert (code, answer["status"], answer["head"]["services"]) == (
        200,
        {"code": 200, "msg": "OK"},
        [],
    )

    assert wire.create("myserv", str(tmp_path), mllib={"nclasses": 9}) == (
        201,
        {"status": {"code": 201, "msg": "Created"}},
    )
    code, answer = wire.call("GET", "/services/myserv")
    assert (code, answer["body"]["mllib"], answer["body"]["jobs"]) == (200, "xgboost", [])

    code, answer = wire.train("myserv", iris_csv, **TRAIN)
    assert (code, answer["status"]) == (201, {"code": 201, "msg": "Created"})
    assert answer["body"]["measure"].keys() >= {"iteration", "mcll", "acc"}
    assert answer["body"]["measure"]["iteration"] == 19.0
    assert answer["body"]["measure"]["acc"] > 0.9
    assert answer["head"].keys() == {"method", "time"}

    code, answer = wire.train("myserv", iris_csv, blocking=False, **TRAIN)
    assert (code, answer) == (
        201,
        {
            "status": {"code": 201, "msg": "Created"},
            "head": {"method": "/train", "job": 1, "status": "running"},
        },
    )
    code, answer = wire.call("GET", "/train?service=myserv&job=1&timeout=60")
    assert (code, answer["head"]["status"]) == (200, "finished")
    assert answer["body"]["parameters"]["input"].keys() == {"connector", "min_vals", "max_vals"}
    assert wire.call("GET", "/train?service=myserv&job=1")[1]["status"]["dd_code"] == 1003

    given = {"input": {"id": "id", "separator": ",", "scale": True}}
    code, answer = wire.predict("myserv", iris_csv, **given)
    assert code == 200
    assert answer["head"].keys() == {"method", "time", "service"}
    predictions = answer["body"]["predictions"]
    assert predictions[0]["uri"] == "flower-0"
    assert predictions[0]["classes"][0]["cat"] == "0"
    code, answer = wire.predict("myserv", iris_csv, output={"measure": ["f1"]})
    assert answer["body"]["measure"].keys() == {"f1", "recall", "precision", "accp"}

    template = (
        "status={{#status}}{{code}}{{/status}}\n{{#body}}{{#predictions}}*{{uri}}:\n"
        "{{#classes}}{{cat}}->{{prob}}\n{{/classes}}{{/predictions}}{{/body}}"
    )
    call = {
        "service": "myserv",
        "parameters": {"output": {"best": 3, "template": template}},
        "data": ["5.1,3.5,1.4,0.2"],
    }
    text = wire.http.request("POST", "/predict", content=json.dumps(call)).text
    assert text.startswith("status=200\n*1:\n0->0.9")
    assert text.count("->") == 3

    assert wire.call("DELETE", "/services/myserv?clear=full") == (
        200,
        {"status": {"code": 200, "msg": "OK"}},
    )
    assert list(tmp_path.iterdir()) == []


LONG = {"iterations": 1_000_000, "test_interval": 1_000_000, "save_period": 100}


def test_a_service_predicts_while_it_trains_and_the_job_stops_in_two_seconds(
    wire: Client, iris_csv: str, tmp_path: Path
) -> None:
    wire.create("s", str(tmp_path), mllib={"nclasses": 3})
    columns = {"label": "target", "id": "id"}
    wire.train("s", iris_csv, input=columns, mllib={"iterations": 2})
    wire.train("s", iris_csv, blocking=False, input=columns, mllib=LONG)
    while not (tmp_path / "0100.model").exists():
        code, answer = wire.call("GET", "/train?service=s&job=1")
        assert (code, answer["head"]["status"]) == (200, "running")
        assert wire.predict("s", "5.1,3.5,1.4,0.2")[0] == 200
    code, answer = wire.call("DELETE", "/train?service=s&job=1")
    assert (code, answer["head"]["status"]) == (200, "terminated")
    code, answer = wire.predict("s", "5.1,3.5,1.4,0.2")
    assert answer["body"]["predictions"][0]["classes"][0]["prob"] > 0.95  # two rounds give 0.7
    assert len(list(tmp_path.glob("*.model"))) >= 2


def test_a_job_that_does_not_stop_is_killed_and_keeps_its_last_model(
    wire: Client, tmp_path: Path
) -> None:
    """One iteration of this takes longer than the grace: 2,000 classes on wide rows."""
    import numpy as np

    values = np.random.default_rng(0).integers(0, 99, size=(4000, 60))
    lines = [",".join([*(f"c{i}" for i in range(60)), "y"])]
    lines += [",".join([*map(str, row), str(i % 2000)]) for i, row in enumerate(values)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(lines) + "\n")
    wire.create("s", str(tmp_path / "m"), mllib={"nclasses": 2000})
    given: dict[str, Any] = {"input": {"label": "y"}, "mllib": {"iterations": 50, "save_period": 1}}
    wire.train("s", str(path), blocking=False, **given)
    while not (tmp_path / "m" / "0001.model").exists():
        assert wire.call("GET", "/train?service=s&job=1")[1]["head"]["status"] == "running"
    import time

    began = time.monotonic()
    code, answer = wire.call("DELETE", "/train?service=s&job=1")
    took = time.monotonic() - began
    assert (code, answer["head"]["status"]) == (200, "terminated")
    assert took < 15  # the promise is 2 s to the stop; loading 2,000 classes comes on top
    assert (tmp_path / "m" / "0001.model").exists()
    assert wire.predict("s", ",".join(["1"] * 60))[0] == 200


def test_two_services_train_at_the_same_time(wire: Client, iris_csv: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        wire.create(name, str(tmp_path / name), mllib={"nclasses": 3})
        wire.train(
            name, iris_csv, blocking=False, input={"label": "target", "id": "id"}, mllib=LONG
        )
    for name in ("a", "b"):
        while (
            "iteration"
            not in wire.call("GET", f"/train?service={name}&job=1")[1]["body"]["measure"]
        ):
            pass
    assert wire.call("DELETE", "/services/a")[0] == 200
    assert wire.call("GET", "/train?service=b&job=1")[1]["head"]["status"] == "running"


def test_a_waiting_question_does_not_block_others(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    wire.create("s", str(tmp_path), mllib={"nclasses": 3})
    wire.train("s", iris_csv, blocking=False, input={"label": "target", "id": "id"}, mllib=LONG)
    answers: list[int] = []
    _, url = server_and_url

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request("GET", "/train?service=s&job=1&timeout=60")
        answers.append(connection.getresponse().status)
        connection.close()

    waiting = threading.Thread(target=ask)
    waiting.start()
    for _ in range(3):
        assert wire.call("GET", "/services/s")[0] == 200
    assert not answers
    assert wire.call("DELETE", "/train?service=s&job=1")[0] == 200
    waiting.join(30)
    assert answers in ([200], [404])


def test_odd_names_and_double_slashes_work_over_the_wire(
    wire: Client, server_and_url: tuple[Server, str], tmp_path: Path
) -> None:
    name = "Café_😀 1"
    assert wire.create(name, str(tmp_path), mllib={"nclasses": 2})[0] == 201
    wire.train(name, "a,y\n1,0\n2,1", input={"label": "y"})
    assert wire.predict(name, "1")[0] == 200
    _, url = server_and_url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "//predict", json.dumps({"service": name, "data": ["1"]}))
    assert connection.getresponse().status == 200
    connection.close()


def test_chunked_and_broken_requests(server_and_url: tuple[Server, str], wire: Client) -> None:
    _, url = server_and_url
    host = urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    chunks = iter([b'{"service":', b'"nope","data":["1"]}'])
    connection.request("POST", "/predict", chunks, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["status"]["dd_code"]) == (404, 1002)
    connection.close()
    name, port = host.split(":")
    for noise in (
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
    ):
        with socket.create_connection((name, int(port)), 10) as raw:
            raw.sendall(noise)
            raw.shutdown(socket.SHUT_WR)
            raw.recv(1000)
    assert wire.call("GET", "/info")[0] == 200
