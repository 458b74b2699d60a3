"""/predict."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import AsgiHttp, Client

ROW = "5.1,3.5,1.4,0.2"


def test_one_row(routed: Client) -> None:
    code, answer = routed.predict("Flowers", ROW)
    assert code == 200
    assert answer["status"] == {"code": 200, "msg": "OK"}
    assert answer["head"].keys() == {"method", "service", "time"}
    assert answer["head"]["method"] == "/predict"
    assert answer["head"]["service"] == "flowers"
    assert answer["head"]["time"] > 0
    (prediction,) = answer["body"]["predictions"]
    (best,) = prediction["classes"]
    assert (prediction["uri"], best["cat"], best["last"]) == ("1", "0", True)


def test_a_file_is_answered_in_its_order_with_its_ids(routed: Client, iris_csv: str) -> None:
    predictions = routed.predict("flowers", iris_csv, input={"id": "id"})[1]["body"]["predictions"]
    assert [p["uri"] for p in predictions] == [f"flower-{i}" for i in range(150)]


def test_many_rows_are_answered_as_each_alone(routed: Client, iris_csv: str) -> None:
    rows = [
        ",".join(line.split(",")[1:5]) for line in Path(iris_csv).read_text().splitlines()[1::9]
    ]
    output = {"best": -1}
    together = routed.predict("flowers", *rows, output=output)[1]["body"]["predictions"]
    for row, prediction in zip(rows, together, strict=True):
        (alone,) = routed.predict("flowers", row, output=output)[1]["body"]["predictions"]
        assert alone["classes"] == prediction["classes"]


def test_measures_of_labelled_data(routed: Client, iris_csv: str) -> None:
    code, answer = routed.predict("flowers", iris_csv, output={"measure": ["f1", "acc"]})
    assert code == 200
    assert answer["body"].keys() == {"measure"}
    assert answer["body"]["measure"].keys() == {"f1", "precision", "recall", "accp", "acc"}
    assert "time" in answer["head"]


def test_a_template_renders_the_whole_answer(routed: Client) -> None:
    body = {
        "service": "flowers",
        "data": [ROW],
        "parameters": {
            "output": {
                "template": "{{status.code}}:{{#body}}{{#predictions}}{{uri}}="
                "{{#classes}}{{cat}}{{/classes}}{{/predictions}}{{/body}}"
            }
        },
    }
    answer = routed.http.request("POST", "/predict", content=json.dumps(body))
    assert (answer.status_code, answer.text) == (200, "200:1=0")
    assert answer.headers["content-type"] == "application/json"


def test_stats_count_calls_rows_and_failures(routed: Client) -> None:
    routed.predict("flowers", ROW, ROW)
    routed.predict("flowers", "bad")
    stats = routed.call("GET", "/services/flowers")[1]["body"]["service_stats"]
    assert (stats["predict_success"], stats["predict_failure"], stats["predict_count"]) == (1, 1, 2)
    assert stats["inference_count"] == 2
    assert stats["avg_batch_size"] == 1.0
    assert isinstance(stats["total_transform_duration_ms"], float)


def test_creation_parameters_are_defaults(client: Client, tmp_path: Path) -> None:
    parameters = {
        "input": {"connector": "csv", "label": "y"},
        "mllib": {"nclasses": 2, "iterations": 2},
        "output": {"best": 2},
    }
    model = {"repository": str(tmp_path)}
    client.call(
        "PUT", "/services/s", {"mllib": "xgboost", "parameters": parameters, "model": model}
    )
    assert client.train("s", "a,y\n1,0\n2,1")[0] == 201
    classes = client.predict("s", "1")[1]["body"]["predictions"][0]["classes"]
    assert len(classes) == 2
    classes = client.predict("s", "1", output={"best": 1})[1]["body"]["predictions"][0]["classes"]
    assert len(classes) == 1


@pytest.mark.parametrize(
    ("call", "http", "dd_code", "text"),
    [
        ({"service": "nope", "data": [ROW]}, 404, 1002, "'nope'"),
        ({"data": [ROW]}, 400, 400, "service"),
        ({"service": None, "data": [ROW]}, 400, 400, "service"),
        ({"service": "flowers"}, 400, 1005, "missing data"),
        ({"service": "flowers", "data": []}, 400, 1005, "missing data"),
        ({"service": "flowers", "data": [[1.0, 2.0]]}, 400, 1005, "data[0]"),
        ({"service": "flowers", "data": ["1,2"]}, 400, 1005, "2 columns, expected"),
        ({"service": "flowers", "data": ["1,2,3,x"]}, 400, 1005, "petal width is not a number"),
        ({"service": "flowers", "data": ["/no/such.csv"]}, 400, 1005, "no such file"),
        (
            {"service": "flowers", "data": [ROW], "parameters": {"output": {"best": "x"}}},
            400,
            1006,
            "parameters.output.best",
        ),
        (
            {"service": "flowers", "data": [ROW], "parameters": {"output": {"measure": ["acc"]}}},
            400,
            1005,
            "cannot find label column target",
        ),
        (
            {"service": "flowers", "data": [ROW], "parameters": {"output": {"template": "{{#x}}"}}},
            400,
            1006,
            "parameters.output.template",
        ),
        (
            {"service": "flowers", "data": [ROW], "parameters": {"output": {"network": {}}}},
            400,
            400,
            "network.url",
        ),
        (
            {
                "service": "flowers",
                "data": [ROW],
                "parameters": {"output": {"network": {"url": "http://127.0.0.1:9/"}}},
            },
            404,
            1009,
            "Output Connector Network Error",
        ),
    ],
)
def test_a_bad_call_is_refused(
    routed: Client, call: dict[str, Any], http: int, dd_code: int, text: str
) -> None:
    code, answer = routed.call("POST", "/predict", call)
    assert (code, answer["status"]["dd_code"]) == (http, dd_code), answer
    assert text in answer["status"]["dd_msg"]
    assert answer["status"]["code"] == http
    assert routed.predict("flowers", ROW)[0] == 200


def test_a_service_without_a_model_says_so(client: Client, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    code, answer = client.predict("s", "1,2")
    assert (code, answer["status"]["dd_code"]) == (500, 1007)
    assert "train the service first" in answer["status"]["dd_msg"]


def test_a_measure_that_cannot_be_is_1007(client: Client, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 2})
    client.train("s", "a,y\n1,0\n2,1", input={"label": "y"})
    code, answer = client.predict("s", "a,y\n1,9", output={"measure": ["acc"]})
    assert (code, answer["status"]["dd_code"]) == (500, 1007)


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/json"],
)
def test_the_content_type_does_not_matter(trained: Client, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    code, _ = trained.call("POST", "/predict", {"service": "flowers", "data": [ROW]}, **headers)
    assert code == 200


@pytest.mark.parametrize("path", ["http://test//predict", "/predict/", "http://test///predict//"])
def test_slashes_too_many_do_not_matter(trained: Client, path: str) -> None:
    assert trained.call("POST", path, {"service": "flowers", "data": [ROW]})[0] == 200


def test_bodies_may_be_compressed(trained: Client) -> None:
    raw = gzip.compress(json.dumps({"service": "flowers", "data": [ROW]}).encode())
    headers = {"Content-Encoding": "gzip"}
    answer = trained.http.request("POST", "/predict", content=raw, headers=headers)
    assert answer.status_code == 200
    for broken, encoding in ((raw[:-9], "gzip"), (b"no", "gzip"), (raw, "br")):
        headers = {"Content-Encoding": encoding}
        answer = trained.http.request("POST", "/predict", content=broken, headers=headers)
        assert (answer.status_code, answer.json()["status"]["dd_code"]) == (400, 400)


def test_answers_are_compressed_when_asked(trained: Client, iris_csv: str) -> None:
    assert isinstance(trained.http, AsgiHttp)
    body = json.dumps({"service": "flowers", "data": [iris_csv]})
    headers = {"Accept-Encoding": "gzip"}
    answer = trained.http.request("POST", "/predict", content=body, headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["body"]["predictions"]) == 150
