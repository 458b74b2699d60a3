"""Commands against a server: what they print, what they leave, and how they exit."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from dd_ray.cli.app import app
from dd_ray.cluster.flags import free_port
from tests.cli.command import Command
from tests.cli.conftest import Run, WriteCalls

ROW = "5.1,3.5,1.4,0.2"
LONG = {"iterations": 1_000_000, "test_interval": 1_000_000}


def json_lines(output: str) -> list[Any]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_training_creates_its_service_and_ends_with_its_report(
    run: Run, write_calls: WriteCalls, tmp_path: Path
) -> None:
    result = run("train", write_calls(iterations=5))
    assert "iris job 1: finished" in result.stdout
    assert result.stdout.splitlines()[-1] == f"model: {tmp_path}/model"
    assert any(line.startswith("acc ") for line in result.stdout.splitlines())
    assert (tmp_path / "model" / "0005.model").exists()
    again = run("train", write_calls(iterations=7))
    assert "iris job 2: finished" in again.stdout
    assert (tmp_path / "model" / "0007.model").exists()


def test_a_training_in_json_is_the_answers_of_the_api(run: Run, write_calls: WriteCalls) -> None:
    *running, report = json_lines(
        run("train", write_calls(iterations=500, test_interval=500), "--json").stdout
    )
    assert {(item["service"], item["job"], item["status"]) for item in running} == {
        ("iris", 1, "running")
    }
    assert report["head"]["status"] == "finished"
    assert report["body"]["measure"]["iteration"] == 499.0
    assert "measure_hist" not in report["body"]


def test_the_history_of_a_training_is_kept_beside_the_model(
    run: Run, write_calls: WriteCalls, tmp_path: Path
) -> None:
    run("train", write_calls(iterations=5, test_interval=1))
    kept = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert len(kept["body"]["measure_hist"]["acc_hist"]) >= 4


def test_a_failed_training_exits_with_the_text_of_the_api(
    run: Run, write_calls: WriteCalls
) -> None:
    result = run("train", write_calls(nclasses=2), exits=1)
    assert "label 2 of column target is not a class" in result.stderr
    assert result.stderr.startswith("dd-ray: Service Input Error: ")
    assert result.stderr.endswith("(1005)\n")
    as_json = run("train", write_calls(nclasses=2), "--json", exits=1)
    assert json_lines(as_json.stdout)[-1]["body"]["Error"]["dd_code"] == 1005


def test_a_service_that_cannot_be_created_is_refused(run: Run, write_calls: WriteCalls) -> None:
    path = Path(write_calls())
    path.write_text(path.read_text().replace('"xgboost"', '"none"'))
    assert "(1000)" in run("train", str(path), exits=1).stderr
    assert "(1000)" in run("create", str(path), exits=1).stderr


def test_the_options_of_a_training_stand_above_its_file(
    run: Run, write_calls: WriteCalls, url: str, elsewhere: Path
) -> None:
    """And a relative repository is one of the folder that the command runs in."""
    options = ["--service-name", "Other", "--repository", "here", "--address", url]
    command = Command("train", write_calls(), *options, folder=elsewhere)
    assert command.end() == 0
    assert "Other job 1: finished" in command.output
    assert (elsewhere / "here" / "0005.model").exists()
    assert "other" in run("services").stdout


@pytest.mark.parametrize("command", ["train", "create"])
def test_a_file_without_the_call_is_a_wrong_command(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "call.json"
    missing = {
        "train": '{"service": "s", "mllib": "xgboost"}',
        "create": '{"service": "s", "data": []}',
    }
    path.write_text(missing[command])
    expected = {"train": "expected data", "create": "expected mllib"}
    assert expected[command] in run(command, str(path), exits=2).stderr
    assert "No such file" in run(command, str(tmp_path / "none"), exits=2).stderr


@pytest.fixture
def trained(run: Run, write_calls: WriteCalls) -> Run:
    run("train", write_calls())
    return run


def test_a_prediction_is_a_table(trained: Run, iris_csv: str) -> None:
    result = trained("predict", "iris", iris_csv, "--best", "2", "--param", "input.id=id")
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["uri", "prediction", "value", "where"]
    assert len(rows) == 300
    assert rows[0].split()[:2] == ["flower-0", "0"]
    assert float(rows[0].split()[2]) > 0.5


def test_a_prediction_in_json_is_the_answer_of_the_api(trained: Run) -> None:
    answer = json.loads(trained("predict", "iris", ROW, ROW, "--json").stdout)
    assert answer["head"]["method"] == "/predict"
    assert len(answer["body"]["predictions"]) == 2


def test_parameters_reach_the_call(trained: Run, iris_csv: str) -> None:
    measured = trained("predict", "iris", iris_csv, "--param", 'output.measure=["f1"]').stdout
    assert {line.split()[0] for line in measured.splitlines()[1:]} >= {"f1", "precision"}
    template = (
        "parameters.output.template={{#body}}{{#predictions}}*{{uri}}{{/predictions}}{{/body}}"
    )
    assert trained("predict", "iris", ROW, "--param", template).stdout == "*1\n"


@pytest.mark.parametrize(
    "params", [["best=1"], ["output.best"], ["output.=1"], ["a.b=1", "a.b.c=1"]]
)
def test_parameters_without_a_place_are_a_wrong_command(run: Run, params: list[str]) -> None:
    options = [word for param in params for word in ("--param", param)]
    assert repr(params[-1]) in run("predict", "iris", ROW, *options, exits=2).stderr


def test_a_path_is_found_from_where_the_command_runs(
    trained: Run, url: str, elsewhere: Path, iris_csv: str
) -> None:
    (elsewhere / "rows.csv").write_text("\n".join(Path(iris_csv).read_text().splitlines()[:3]))
    command = Command("predict", "iris", "rows.csv", "--address", url, folder=elsewhere)
    assert command.end() == 0
    assert len(command.output.splitlines()) == 1 + 2


def test_services_are_listed_and_shown(trained: Run, tmp_path: Path) -> None:
    trained("predict", "iris", ROW)
    heading, row = trained("services").stdout.splitlines()
    columns = dict(zip(heading.split(), row.split(), strict=True))
    assert columns == {
        "service": "iris",
        "mllib": "xgboost",
        "type": "classification",
        "training": "no",
        "predictions": "1",
        "failed": "0",
        "repository": f"{tmp_path}/model",
    }
    shown = trained("services", "iris").stdout
    assert "parameters.mllib.nclasses" in shown
    assert json.loads(trained("services", "iris", "--json").stdout)["body"]["name"] == "iris"
    assert [each["name"] for each in json.loads(trained("services", "--json").stdout)] == ["iris"]
    assert "(1002)" in trained("services", "none", exits=1).stderr


def test_info_names_the_server(run: Run) -> None:
    first, second = run("info").stdout.splitlines()
    assert first.startswith("dd-ray ")
    assert second == "no services"
    assert json.loads(run("info", "--json").stdout)["head"]["services"] == []


def test_a_service_is_created_from_the_repository_of_another_and_deleted(
    trained: Run, tmp_path: Path, write_calls: WriteCalls
) -> None:
    path = write_calls()
    assert trained("create", path, "--service-name", "copy").stdout == "copy: created\n"
    assert "(1014)" in trained("create", path, exits=1).stderr
    assert trained("predict", "copy", ROW).stdout.splitlines()[1].split()[1] == "0"
    assert trained("delete", "copy").stdout == "copy: deleted\n"
    assert (tmp_path / "model" / "0005.model").exists()
    deleted = trained("delete", "iris", "--clear", "dir", "--json").stdout
    assert json.loads(deleted) == {"status": {"code": 200, "msg": "OK"}}
    assert not (tmp_path / "model").exists()
    assert "(1002)" in trained("delete", "iris", exits=1).stderr
    trained("delete", "iris", "--clear", "all", exits=2)


def start_job(run: Run, url: str, path: str) -> None:
    """Creates the service of a call file and starts its training without waiting for it."""
    run("create", path)
    call = json.loads(Path(path).read_text())["train"] | {"service": "iris", "async": True}
    assert httpx.post(f"{url}/train", json=call).status_code == 201


@pytest.fixture
def training(run: Run, write_calls: WriteCalls, url: str) -> Run:
    """Commands of a server on which job 1 of `iris` runs for long."""
    start_job(run, url, write_calls(**LONG))
    while "iteration" not in httpx.get(f"{url}/train?service=iris&job=1").json()["body"]["measure"]:
        pass
    return run


def test_jobs_are_listed_and_stopped(training: Run, tmp_path: Path) -> None:
    heading, row = training("jobs").stdout.splitlines()
    assert heading.split()[:5] == ["service", "job", "status", "iteration", "of"]
    assert row.split()[:3] == ["iris", "1", "running"]
    assert row.split()[4] == "1000000"
    (item,) = json_lines(training("jobs", "iris", "--json").stdout)
    assert (item["service"], item["job"], item["status"]) == ("iris", 1, "running")
    assert "iteration" in training("jobs", "iris", "1").stdout
    assert training("stop-job", "iris", "1").stdout == "iris job 1: terminated\n"
    assert list((tmp_path / "model").glob("*.model"))
    assert training("jobs").stdout.splitlines()[1].split()[:3] == ["iris", "1", "terminated"]
    (item,) = json_lines(training("jobs", "--json").stdout)
    assert (item["status"], item["report"], item["ended"] > item["accepted"]) == (
        "terminated",
        False,
        True,
    )
    assert training("jobs", "other").stdout == "no jobs\n"
    assert "(1003)" in training("jobs", "iris", "1", exits=1).stderr
    assert "(1003)" in training("stop-job", "iris", "1", exits=1).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_training_of_a_server(
    run: Run, write_calls: WriteCalls, url: str, tmp_path: Path, number: signal.Signals
) -> None:
    command = Command("train", write_calls(**LONG), "--address", url, folder=tmp_path)
    command.wait_for(": iteration ")
    command.process.send_signal(number)
    assert command.end() == 128 + number
    assert "iris job 1: terminated" in command.output
    assert run("jobs").stdout.splitlines()[1].split()[:3] == ["iris", "1", "terminated"]
    assert list((tmp_path / "model").glob("*.model"))


def test_a_signal_leaves_the_jobs_that_are_followed(
    training: Run, url: str, tmp_path: Path
) -> None:
    command = Command("jobs", "--follow", "--address", url, folder=tmp_path)
    command.wait_for(": iteration ")
    command.process.send_signal(signal.SIGINT)
    assert command.end() == 128 + signal.SIGINT
    assert training("jobs").stdout.splitlines()[1].split()[:3] == ["iris", "1", "running"]


@pytest.mark.parametrize("arguments", [(), ("iris",), ("iris", "1")])
def test_jobs_are_followed_to_their_end(
    run: Run, write_calls: WriteCalls, url: str, arguments: tuple[str, ...]
) -> None:
    start_job(run, url, write_calls(iterations=2000, test_interval=2000))
    first, *_, last = run("jobs", *arguments, "--follow").stdout.splitlines()
    assert first.startswith("iris job 1: ")
    if arguments == ("iris", "1"):  # the report, which nobody can have again
        assert last.startswith("model: ")
        assert "(1003)" in run("jobs", *arguments, exits=1).stderr
    else:
        assert last.split()[:3] == ["iris", "1", "finished"]
        assert "iris job 1: finished" in run("jobs", "iris", "1").stdout


def test_a_server_that_is_not_there_is_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    for command in (
        ["info"],
        ["jobs"],
        ["predict", "s", "1"],
        ["delete", "s"],
        ["stop-job", "s", "1"],
    ):
        result = CliRunner().invoke(app, [*command, "--address", address])
        assert result.exit_code == 3
        assert result.stderr.startswith(f"dd-ray: no answer from http://{address}: ")
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""
