"""What a call may ask of the server, each limit by its setting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dd_ray.data import Scores, Values, Vectors
from dd_ray.errors import BadParameter
from dd_ray.outputs.params import OutputParams
from dd_ray.outputs.predictions import predictions
from tests.api.client import Client
from tests.conftest import SetSettings, Write
from tests.guard.web import send, serving

ROW = "5.1,3.5,1.4,0.2"


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    """`dd_code` and message of a refusal."""
    code, content = answer
    assert 400 <= code < 500, content
    return content["status"]["dd_code"], content["status"]["dd_msg"]


def test_nesting(trained: Client, set_settings: SetSettings) -> None:
    set_settings(max_nesting=3)
    assert trained.predict("flowers", ROW)[0] == 200
    code, text = refused(trained.predict("flowers", ROW, x={"y": {}}))
    assert (code, "more than 3 objects and arrays" in text) == (400, True)


def test_elements_of_data(trained: Client, set_settings: SetSettings) -> None:
    set_settings(max_data_items=3)
    assert trained.predict("flowers", *[ROW] * 3)[0] == 200
    for call in (trained.predict, trained.train):
        code, text = refused(call("flowers", *[ROW] * 4))
        assert (code, "data has 4 elements, expected at most 3" in text) == (1005, True)


def test_cells_of_rows_in_the_call(trained: Client, set_settings: SetSettings) -> None:
    set_settings(max_cells=12)
    for data in ([ROW] * 3, ["\n".join([ROW] * 3)], [f"{ROW}\n{ROW}", f'"5.1",{ROW[4:]}']):
        assert trained.predict("flowers", *data)[0] == 200
    for data in ([f'"5.1",{ROW[4:]}'] * 4, ["\n".join([ROW] * 4)]):
        code, text = refused(trained.predict("flowers", *data))
        assert code == 1005
        assert "4 rows and 4 columns, expected at most 12 cells in one predict call" in text


def test_cells_of_a_file(trained: Client, write: Write, set_settings: SetSettings) -> None:
    names = "sepal length,sepal width,petal length,petal width"
    set_settings(max_cells=12)
    assert trained.predict("flowers", write("a.csv", names, *[ROW] * 3))[0] == 200
    code, text = refused(trained.predict("flowers", write("b.csv", names, *[ROW] * 4)))
    assert (code, "4 rows and 4 columns, expected at most 12 cells" in text) == (1005, True)


def test_cells_of_a_file_are_counted_while_it_is_read(
    trained: Client, write: Write, set_settings: SetSettings
) -> None:
    """What comes after the limit is not read: here it is a line that would be refused."""
    names = "sepal length,sepal width,petal length,petal width"
    set_settings(max_cells=12)
    path = write("long.csv", names, *[ROW] * 1_000_000, "1,2")
    code, text = refused(trained.predict("flowers", path))
    assert (code, "columns, expected at most 12 cells" in text) == (1005, True)


def test_columns(client: Client, write: Write, tmp_path: Any, set_settings: SetSettings) -> None:
    client.create("s", str(tmp_path / "s"), mllib={"nclasses": 2})
    set_settings(max_columns=3)
    given: dict[str, Any] = {"mllib": {"iterations": 1}, "input": {"label": "y"}}
    assert client.train("s", "a,b,y\n1,2,0\n2,3,1", **given)[0] == 201
    code, text = refused(client.train("s", write("w.csv", "a,b,c,y", "1,2,3,0"), **given))
    assert (code, "has 4 columns, expected at most 3" in text) == (1005, True)
    given["input"]["categoricals"] = ["b"]
    code, text = refused(client.train("s", "a,b,y\n1,x,0\n2,y,1\n2,z,1", **given))
    assert (code, "with one for each category there are 4 columns" in text) == (1005, True)


def test_features_of_sparse_data(client: Client, tmp_path: Any, set_settings: SetSettings) -> None:
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "svm"}, "mllib": {"nclasses": 2, "iterations": 1}},
        "model": {"repository": str(tmp_path / "s"), "create_repository": True},
    }
    assert client.call("PUT", "/services/s", call)[0] == 201
    code, text = refused(client.train("s", "0 2147483645:1\n1 1:1"))
    assert (code, "feature 2147483645, expected at most 2000000" in text) == (1005, True)
    assert client.train("s", "0 1:1\n1 2:1")[0] == 201
    set_settings(max_cells=5)
    assert client.predict("s", "0 1:1 2:1")[0] == 200
    code, text = refused(client.predict("s", "0 1:1 2:1", "0 1:1 2:1"))
    assert (code, "more than 5 values in one predict call" in text) == (1005, True)


def test_characters_of_a_field(
    client: Client, write: Write, tmp_path: Any, set_settings: SetSettings
) -> None:
    client.create("s", str(tmp_path / "s"), mllib={"nclasses": 2}, input={"id": "i"})
    given: dict[str, Any] = {"mllib": {"iterations": 1}, "input": {"label": "y"}}
    set_settings(max_field_chars=20)
    rows = ["i,a,y", "x,1,0", f"{'z' * 20},2,1"]
    assert client.train("s", write("a.csv", *rows), **given)[0] == 201
    assert client.predict("s", "i,a", f"{'z' * 20},2")[0] == 200
    rows[-1] = f"{'z' * 21},2,1"
    code, text = refused(client.train("s", write("b.csv", *rows), **given))
    assert (code, "a field of column i has more than 20 characters" in text) == (1005, True)
    for row in (f"{'z' * 21},2", f'"{"z" * 21}",2'):
        code, text = refused(client.predict("s", "i,a", row))
        assert (code, "data[1], line 1: a field has more than 20" in text) == (1005, True)


@pytest.mark.parametrize(
    ("output", "given", "values"),
    [
        (Scores(probs_NC=np.ones((4, 5))), {"best": 3}, 12),
        (Scores(probs_NC=np.ones((4, 5))), {"best": 9}, 20),
        (Scores(probs_NC=np.ones((4, 5))), {"best": -1}, 20),
        (Scores(probs_NC=np.ones((4, 5))), {"best": 1, "logits": True}, 24),
        (Values(values_ND=np.ones((4, 2))), {}, 8),
        (Vectors(values_NV=np.ones((4, 3))), {}, 12),
    ],
)
def test_values_of_an_answer(
    output: Any, given: dict[str, Any], values: int, set_settings: SetSettings
) -> None:
    def answer() -> Any:
        return predictions(output, ["u"] * 4, OutputParams.merge(given), class_names=[])

    set_settings(max_predictions=values)
    assert len(answer()) == 4
    set_settings(max_predictions=values - 1)
    with pytest.raises(BadParameter, match=f"4 predictions .* at most {values - 1} in all"):
        answer()


def test_services(client: Client, tmp_path: Any, set_settings: SetSettings) -> None:
    from dd_ray.api.app import build
    from dd_ray.services.local import local_server
    from dd_ray.settings import settings
    from tests.api.client import AsgiHttp

    set_settings(max_services=2)
    http = AsgiHttp(build(local_server(settings())))
    limited = Client(http)
    for name in ("a", "b"):
        assert limited.create(name, str(tmp_path / name), mllib={"nclasses": 2})[0] == 201
    code, text = refused(limited.create("c", str(tmp_path / "c"), mllib={"nclasses": 2}))
    assert (code, text) == (400, "there are 2 services, DD_RAY_MAX_SERVICES allows no more")
    assert refused(limited.create("a", str(tmp_path / "a"), mllib={"nclasses": 2}))[0] == 1014
    limited.call("DELETE", "/services/a")
    assert limited.create("c", str(tmp_path / "c"), mllib={"nclasses": 2})[0] == 201
    http.close()


@pytest.fixture
def loud() -> Iterator[str]:
    """A server whose answers have 1,000 bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        send(handler, b"x" * 1000)

    with serving(answer) as web:
        yield web.url


def pushing(client: Client, network: dict[str, Any]) -> tuple[int, str]:
    call = {"service": "flowers", "data": [ROW], "parameters": {"output": {"network": network}}}
    answer = client.http.request("POST", "/predict", content=json.dumps(call))
    return answer.status_code, answer.text


def test_the_answer_of_a_push(trained: Client, loud: str, set_settings: SetSettings) -> None:
    set_settings(allowed_hosts="127.0.0.1", max_network_bytes=1000)
    assert pushing(trained, {"url": loud}) == (200, "x" * 1000)
    set_settings(max_network_bytes=999)
    code, text = pushing(trained, {"url": loud})
    assert (code, "longer than 999 bytes" in text, "1009" in text) == (404, True, True)


def test_the_time_of_a_push(trained: Client, set_settings: SetSettings) -> None:
    import time

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler)
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)

    set_settings(allowed_hosts="127.0.0.1", network_timeout_s=0.3)
    with serving(answer) as web:
        code, text = pushing(trained, {"url": web.url})
    assert (code, "it took too long" in text) == (404, True)


def test_a_push_to_a_private_host_is_not_sent(trained: Client) -> None:
    with serving(lambda handler: send(handler, b"secret")) as web:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"):
            code, text = pushing(trained, {"url": f"http://{host}:{web.port}/"})
            assert (code, "1009" in text, "no public address" in text) == (404, True, True)
    assert web.asked == []


@pytest.mark.parametrize(
    "line",
    [
        *("Host: internal", "content-length: 5", "Transfer-Encoding: chunked"),
        *("Connection: upgrade", "Upgrade: websocket", "TE: trailers", "Trailer: Host"),
    ],
)
def test_the_header_of_a_push_does_not_say_where_it_goes(
    trained: Client, loud: str, line: str, set_settings: SetSettings
) -> None:
    set_settings(allowed_hosts="127.0.0.1")
    code, text = pushing(trained, {"url": loud, "content_type": line})
    assert (code, "1006" in text, "content_type" in text) == (400, True, True)
    assert pushing(trained, {"url": loud, "content_type": "X-Token: a"})[0] == 200


def test_a_model_that_does_not_fit_in_memory(
    trained: Client, tmp_path: Path, set_settings: SetSettings
) -> None:
    repository = str(tmp_path / "flowers")
    set_settings(memory_factor=1e12)
    code, answer = trained.create("again", repository, mllib={"nclasses": 3})
    assert (code, answer["status"]["dd_code"]) == (503, 503)
    assert "GiB of memory" in answer["status"]["dd_msg"]
    assert trained.call("GET", "/services/again")[0] == 404
    assert trained.create("new", str(tmp_path / "new"), mllib={"nclasses": 3})[0] == 201
    set_settings(memory_factor=0)
    assert trained.create("again", repository, mllib={"nclasses": 3})[0] == 201
