"""/train: blocking and asynchronous jobs, their reports, and stopping them."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path
from typing import Any

import pytest

from dd_ray.api.app import build
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client

IRIS = {"label": "target", "id": "id", "shuffle": True, "seed": 1, "test_split": 0.2}


def test_a_blocking_call_answers_with_the_result(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    code, answer = client.train(
        "s",
        iris_csv,
        input=IRIS,
        mllib={"iterations": 4},
        output={"measure": ["acc", "mcll", "f1", "cmdiag", "cmfull"], "measure_hist": True},
    )
    assert code == 201
    assert answer["status"] == {"code": 201, "msg": "Created"}
    assert answer["head"]["method"] == "/train"
    assert isinstance(answer["head"]["time"], float)
    measure = answer["body"]["measure"]
    assert measure["iteration"] == 3.0
    assert measure["acc"] == measure["accp"] > 0.9
    assert len(measure["cmdiag"]) == 3
    assert measure["labels"] == ["0", "1", "2"]
    assert list(measure["cmfull"][1]) == ["1"]
    history = answer["body"]["measure_hist"]
    assert history["iteration_hist"] == [1.0, 2.0, 3.0]
    assert len(history["acc_hist"]) == len(history["cmdiag_0_hist"]) == 3
    assert answer["body"]["model"] == {"repository": str(tmp_path)}
    assert answer["body"]["parameters"] == {"input": {}}
    assert client.call("GET", "/services/s")[1]["body"]["jobs"] == []
    assert json.loads((tmp_path / "model.json").read_text()) == answer
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".dd-ray",
        "0004.model",
        "connector.json",
        "corresp.txt",
        "model.fmap",
        "model.json",
    ]


def test_scaling_and_categories_are_returned(client: Client, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"regression": True, "ntargets": 1})
    _, answer = client.train(
        "s", "a,t,y", "1,u,0", "3,v,1", input={"label": "y", "scale": True, "categoricals": ["t"]}
    )
    assert answer["body"]["parameters"]["input"] == {
        "connector": "csv",
        "min_vals": [1.0, 0.0, 0.0, 0.0],
        "max_vals": [3.0, 1.0, 1.0, 1.0],
        "categoricals_mapping": {"t": {"u": 0, "v": 1}},
    }


def test_a_job_runs_ends_and_reports_once(client: Client, iris_csv: str, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    given: dict[str, Any] = {
        "input": IRIS,
        "mllib": {"iterations": 5},
        "output": {"measure": ["acc"]},
    }
    code, answer = client.train("S", iris_csv, blocking=False, **given)
    assert (code, answer["head"]) == (201, {"method": "/train", "job": 1, "status": "running"})
    assert "body" not in answer
    code, answer = client.call("GET", "/train?service=s&job=1&timeout=30")
    assert code == 200
    assert answer["head"]["status"] == "finished"
    assert isinstance(answer["head"]["time"], float)
    assert answer["body"]["measure"]["iteration"] == 4.0
    assert answer["body"]["mltype"] == "classification"
    assert answer["body"]["sname"] == "s"
    assert "measure_hist" not in answer["body"]
    assert json.loads((tmp_path / "metrics.json").read_text()) == answer
    code, answer = client.call("GET", "/train?service=s&job=1")
    assert (code, answer["status"]["dd_code"]) == (404, 1003)
    assert answer["head"] == {"method": "/train", "job": 1}
    assert client.train("s", iris_csv, blocking=False, **given)[1]["head"]["job"] == 2


def test_the_history_comes_when_asked_for(client: Client, iris_csv: str, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    given: dict[str, Any] = {
        "input": IRIS,
        "mllib": {"iterations": 9},
        "output": {"measure": ["acc"]},
    }
    for query, points in (
        ("measure_hist=True", 8),
        ("max_hist_points=10000", 8),
        ("max_hist_points=3", 3),
        ("max_hist_points=0", 8),
    ):
        job = client.train("s", iris_csv, blocking=False, **given)[1]["head"]["job"]
        path = f"/train?service=s&job={job}&timeout=30&parameters.output.{query}"
        history = client.call("GET", path)[1]["body"]["measure_hist"]
        assert {name: len(values) for name, values in history.items()} == {
            "acc_hist": points,
            "iteration_hist": points,
        }
        assert all(isinstance(value, float) for value in history["acc_hist"])


LONG = {"iterations": 1_000_000, "test_interval": 1_000_000}


def test_a_running_job_shows_progress_predicts_and_is_stopped(
    trained: Client, iris_csv: str, tmp_path: Path
) -> None:
    trained.train("flowers", iris_csv, blocking=False, mllib=LONG, input=IRIS)
    job = "/train?service=flowers&job=1"
    beyond = 3  # the last iteration of the model that is there already
    while (answer := trained.call("GET", job)[1])["body"]["measure"].get("iteration", 0) <= beyond:
        assert answer["head"]["status"] == "running"
    assert answer["body"]["measure"].keys() >= {"iter_time", "remain_time", "remain_time_str"}
    body = trained.call("GET", "/services/flowers")[1]["body"]
    assert (body["predict"], body["training"]) == (False, True)
    assert body["jobs"][0]["job"] == 1
    assert body["jobs"][0]["status"] == "running"
    assert trained.predict("flowers", "5.1,3.5,1.4,0.2")[0] == 200
    code, answer = trained.call("DELETE", job)
    assert code == 200
    assert answer["head"].keys() == {"method", "job", "status", "time"}
    assert answer["head"]["status"] == "terminated"
    assert "body" not in answer
    assert trained.call("GET", job)[0] == 404
    assert len(list((tmp_path / "flowers").glob("*.model"))) == 1 + 1
    assert trained.predict("flowers", "5.1,3.5,1.4,0.2")[0] == 200


def test_a_queued_job_can_be_stopped_and_leaves_the_running_one(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    for _ in range(2):
        client.train("s", iris_csv, blocking=False, mllib=LONG, input=IRIS)
    jobs = client.call("GET", "/services/s")[1]["body"]["jobs"]
    assert [(job["job"], job["status"]) for job in jobs] == [(1, "running"), (2, "running")]
    assert client.call("DELETE", "/train?service=s&job=2")[1]["head"]["status"] == "terminated"
    assert client.call("GET", "/train?service=s&job=1")[1]["head"]["status"] == "running"
    assert client.call("DELETE", "/train?service=s&job=1")[0] == 200


def test_a_job_that_had_ended_is_not_stopped_but_stays(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    client.train("s", iris_csv, blocking=False, input=IRIS, mllib={"iterations": 1})
    while client.call("GET", "/services/s")[1]["body"]["training"]:
        pass
    code, answer = client.call("DELETE", "/train?service=s&job=1")
    assert (code, answer["head"]) == (200, {"method": "/train", "job": 1})
    assert client.call("GET", "/train?service=s&job=1")[1]["head"]["status"] == "finished"


def test_deleting_a_service_stops_its_jobs_and_starts_again_from_job_1(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    client.train("s", iris_csv, blocking=False, mllib=LONG, input=IRIS)
    assert client.call("DELETE", "/services/s")[0] == 200
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    started = client.train("s", iris_csv, blocking=False, mllib={"iterations": 1}, input=IRIS)
    assert started[1]["head"]["job"] == 1


def test_a_server_that_ends_leaves_no_task(
    iris_csv: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    http = AsgiHttp(build(local_server()))
    client = Client(http)
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    for _ in range(3):
        client.train("s", iris_csv, blocking=False, mllib=LONG, input=IRIS)
    began = time.monotonic()
    http.close()
    assert time.monotonic() - began < 20  # the training that ran was told to end
    gc.collect()
    assert "Task was destroyed" not in caplog.text


def test_two_clients_and_one_final_report(client: Client, iris_csv: str, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    client.train("s", iris_csv, blocking=False, input=IRIS, mllib={"iterations": 50})
    assert isinstance(client.http, AsgiHttp)
    question = ("GET", "/train?service=s&job=1&timeout=30", None)
    answers = client.http.together(*[question] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]


@pytest.mark.parametrize(
    ("call", "dd_code", "text"),
    [
        ({}, 1005, "missing data"),
        ({"data": []}, 1005, "missing data"),
        ({"data": "x.csv"}, 1005, "data: expected an array of strings"),
        ({"data": ["a", None]}, 1005, "data[1]: expected a string, got null"),
        (
            {"data": ["/no/such.csv"], "parameters": {"input": {"label": "y"}}},
            1005,
            "no such file",
        ),
        ({"data": ["a,y\n1,0\n2,1"]}, 1005, "missing label column parameter"),
        ({"data": ["a,y\n1,0\n2,7"], "parameters": {"input": {"label": "y"}}}, 1005, "label 7"),
        (
            {
                "data": ["a,y\n1,0"],
                "parameters": {"input": {"label": "y"}, "mllib": {"iterations": 0}},
            },
            1006,
            "parameters.mllib.iterations",
        ),
        (
            {"data": ["a,y\n1,0"], "parameters": {"mllib": {"test_interval": 0}}},
            1006,
            "parameters.mllib.test_interval",
        ),
        (
            {"data": ["a,y\n1,0"], "parameters": {"input": {"label": 3}}},
            1005,
            "parameters.input.label",
        ),
    ],
)
def test_a_bad_training_is_an_error_in_both_ways(
    client: Client, tmp_path: Path, call: dict[str, Any], dd_code: int, text: str
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    code, answer = client.call("POST", "/train", {"service": "s", "async": False} | call)
    assert (code, answer["status"]["dd_code"]) == (400, dd_code)
    assert text in answer["status"]["dd_msg"]
    prefix = {1005: "Service Input Error: ", 1006: "Service Bad Request Error: "}[dd_code]
    assert answer["status"]["dd_msg"].startswith(prefix)
    code, answer = client.call("PUT", "/train", {"service": "s"} | call)
    assert (code, answer["head"]["job"]) == (201, 1)
    code, report = client.call("GET", "/train?service=s&job=1&timeout=30")
    assert (code, report["head"]) == (200, {"method": "/train", "job": 1, "status": "error"})
    assert report["body"]["Error"]["dd_code"] == dd_code
    assert text in report["body"]["Error"]["dd_msg"]
    assert client.call("GET", "/train?service=s&job=1")[0] == 404
    assert client.train("s", "a,y\n1,0\n2,1", input={"label": "y"})[0] == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "http", "dd_code"),
    [
        ("POST", "/train", {"service": "nope", "data": ["x"]}, 404, 1002),
        ("POST", "/train", {"data": ["x"]}, 400, 400),
        ("POST", "/train", {"service": 3}, 400, 400),
        ("POST", "/train", {"service": "s", "async": "yes"}, 400, 400),
        ("GET", "/train", None, 400, 400),
        ("GET", "/train?service=nope&job=1", None, 404, 1002),
        ("GET", "/train?service=s", None, 404, 1003),
        ("GET", "/train?service=s&job=", None, 404, 1003),
        ("GET", "/train?service=s&job=7", None, 404, 1003),
        ("GET", "/train?service=s&job=first", None, 400, 400),
        ("GET", "/train?service=s&job=1&timeout=soon", None, 400, 400),
        ("DELETE", "/train?service=nope&job=1", None, 404, 1002),
        ("DELETE", "/train?service=s", None, 404, 1003),
        ("DELETE", "/train?service=s&job=-1", None, 404, 1003),
    ],
)
def test_a_bad_question_is_refused(
    client: Client, tmp_path: Path, method: str, path: str, body: Any, http: int, dd_code: int
) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 3})
    code, answer = client.call(method, path, body)
    assert (code, answer["status"]["dd_code"]) == (http, dd_code), answer


def test_a_failed_training_keeps_the_old_model(trained: Client, tmp_path: Path) -> None:
    before = trained.predict("flowers", "5.1,3.5,1.4,0.2")[1]["body"]
    bad = {"input": {"label": "y"}, "mllib": {"nclasses": 3}}
    assert trained.train("flowers", "b,y\n1,0\n2,9", **bad)[0] == 400
    assert trained.predict("flowers", "5.1,3.5,1.4,0.2")[1]["body"] == before


def test_a_finished_training_is_served_at_once(trained: Client, iris_csv: str) -> None:
    query = {"output": {"best": -1}}
    before = trained.predict("flowers", "5.1,3.5,1.4,0.2", **query)[1]["body"]
    trained.train("flowers", iris_csv, mllib={"iterations": 50}, input=IRIS)
    assert trained.predict("flowers", "5.1,3.5,1.4,0.2", **query)[1]["body"] != before
    trained.train(
        "flowers", iris_csv, mllib={"iterations": 3}, input={"label": "target", "id": "id"}
    )
    assert trained.predict("flowers", "5.1,3.5,1.4,0.2", **query)[1]["body"] == before


def test_the_best_model_is_copied_to_the_target(
    client: Client, iris_csv: str, tmp_path: Path
) -> None:
    client.create("s", str(tmp_path / "a"), mllib={"nclasses": 3})
    target = {"target_repository": str(tmp_path / "b")}
    client.train("s", iris_csv, input=IRIS, mllib={"iterations": 2}, output=target)
    client.create("t", str(tmp_path / "b"), mllib={"nclasses": 3})
    row = "5.1,3.5,1.4,0.2"
    assert client.predict("t", row)[1]["body"] == client.predict("s", row)[1]["body"]
