"""Processes of a server are killed, under load: nothing is lost, and others notice nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.api.client import Client
from tests.cluster.faults import (
    INPUT,
    MLLIB,
    PAUSE_S,
    ROW,
    api,
    assert_as_unbroken,
    begun,
    checkpointed,
    edge,
    files,
    iteration,
    kill,
    predicting,
    process,
    report,
    trained,
)
from tests.cluster.load import Load, eventually
from tests.cluster.servers import Server
from tests.disks import small_disk

pytestmark = pytest.mark.ray

BRIEFLY = {200, 502, 503}
"""What a client may see of a service, or of the API, while it is replaced."""


def test_a_service_replica(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    """(a) Serve replaces it; calls of other services do not fail."""
    server, url = server_and_url
    for name in ("dies", "lives"):
        trained(wire, name, tmp_path / name, iris_csv)
    with predicting(url, "dies") as dies, predicting(url, "lives") as lives:
        kill(process(server, "ServeReplica:s-dies"))
        lives.more(20)
        dies.more(50)
    assert set(lives.statuses) == {200}
    assert set(dies.statuses) <= BRIEFLY, dies.statuses


@pytest.mark.parametrize("which", [api, edge])
def test_the_api_and_the_edge(
    wire: Client,
    server_and_url: tuple[Server, str],
    iris_csv: str,
    tmp_path: Path,
    unbroken: tuple[Any, bytes],
    which: Callable[[Server], psutil.Process],
) -> None:
    """(b) They are replaced; no job and no service is lost."""
    server, url = server_and_url
    begun(wire, "s", tmp_path, iris_csv)
    eventually(lambda: iteration(wire, "s") > 0)
    with Load(url, [("GET", "/services/s", None)], pause_s=PAUSE_S) as load:
        kill(which(server))
        load.more(20)
    (job,) = wire.call("GET", "/services/s")[1]["body"]["jobs"]
    assert job["status"] in ("running", "finished")
    assert_as_unbroken(wire, "s", tmp_path, unbroken)


def test_the_state(
    wire: Client,
    server_and_url: tuple[Server, str],
    iris_csv: str,
    tmp_path: Path,
    unbroken: tuple[Any, bytes],
) -> None:
    """(c) It comes back with what it knew; no call fails, also none that changes something."""
    server, url = server_and_url
    trained(wire, "other", tmp_path / "other", iris_csv)
    begun(wire, "s", tmp_path / "s", iris_csv)
    eventually(lambda: iteration(wire, "s") > 0)
    before = process(server, "ray::StateActor")
    answers: dict[str, Any] = {}

    def call(key: str, *request: Any) -> None:
        answers[key] = wire.call(*request)

    creation = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 3}},
        "model": {"repository": str(tmp_path / "new"), "create_repository": True},
    }
    training = {
        "service": "other",
        "async": True,
        "parameters": {"input": INPUT, "mllib": {"iterations": 2}},
        "data": [iris_csv],
    }
    asking = Load(url, [("GET", "/services/s", None)], pause_s=PAUSE_S)
    with predicting(url, "other") as predicts, asking as asks:
        kill(before)
        calls = [
            threading.Thread(target=call, args=("create", "PUT", "/services/new", creation)),
            *(
                threading.Thread(target=call, args=(f"train {i}", "POST", "/train", training))
                for i in range(3)
            ),
        ]
        for thread in calls:
            thread.start()
        for thread in calls:
            thread.join(60)
        asks.more(5)
    assert set(predicts.statuses) == {200}
    assert set(asks.statuses) == {200}
    assert answers["create"][0] == 201
    jobs = [answers[f"train {i}"][1]["head"]["job"] for i in range(3)]
    assert sorted(jobs) == [1, 2, 3]
    assert process(server, "ray::StateActor").pid != before.pid
    assert_as_unbroken(wire, "s", tmp_path / "s", unbroken)
    names = {each["name"] for each in wire.call("GET", "/info")[1]["head"]["services"]}
    assert names == {"other", "s", "new"}


def test_a_training_process(
    wire: Client,
    server_and_url: tuple[Server, str],
    iris_csv: str,
    tmp_path: Path,
    unbroken: tuple[Any, bytes],
) -> None:
    """(d) The job goes on from its last checkpoint, as one that was never touched."""
    server, _ = server_and_url
    begun(wire, "s", tmp_path, iris_csv)
    reached = 0
    for _ in range(2):
        reached = eventually(partial(checkpointed, tmp_path, after=reached))
        kill(process(server, "ray::JobActor"))
        assert iteration(wire, "s") >= 0
    eventually(partial(checkpointed, tmp_path, after=reached))
    assert_as_unbroken(wire, "s", tmp_path, unbroken)


def test_a_training_and_the_state_at_once(
    wire: Client,
    server_and_url: tuple[Server, str],
    iris_csv: str,
    tmp_path: Path,
    unbroken: tuple[Any, bytes],
) -> None:
    """(c) and (d): the new state finds no process of the job."""
    server, _ = server_and_url
    begun(wire, "s", tmp_path, iris_csv)
    eventually(lambda: checkpointed(tmp_path))
    dying = [process(server, "ray::JobActor"), process(server, "ray::StateActor")]
    for each in dying:
        each.kill()
    psutil.wait_procs(dying, 10)
    assert_as_unbroken(wire, "s", tmp_path, unbroken)


def test_a_full_disk(wire: Client, iris_csv: str, tmp_path: Path) -> None:
    """(f) A training that cannot be saved says so; the model before it is served as it was."""
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        path = disk.path / "s"
        trained(wire, "s", path, iris_csv)
        before, prediction = files(path), wire.predict("s", ROW)[1]["body"]
        disk.fill(but=60_000)
        given = {"input": INPUT | {"scale": True}, "mllib": MLLIB}
        assert wire.train("s", iris_csv, blocking=False, **given)[0] == 201
        answer = report(wire, "s")
        assert answer["head"]["status"] == "error"
        error = answer["body"]["Error"]
        assert (error["code"], error["dd_code"]) == (500, 1007)
        assert error["dd_msg"].startswith(f"cannot write {path}/")
        assert error["dd_msg"].endswith(": No space left on device")
        assert wire.predict("s", ROW)[1]["body"] == prediction
        assert wire.call("GET", "/services/s")[1]["body"]["ready"] is True
        assert wire.http.request("GET", "/readyz").status_code == 200
        disk.make_room()
        assert files(path) == before
        given["mllib"] = {"iterations": 50}  # whose model does fit
        assert wire.train("s", iris_csv, **given)[0] == 201
        assert wire.predict("s", ROW)[1]["body"] != prediction


def test_a_training_that_always_dies(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    """(d) It is an error, with the reason, when it does not get further."""
    server, _ = server_and_url
    begun(wire, "s", tmp_path, iris_csv)
    died = set()
    for _ in range(3):
        dying = eventually(lambda: (p := process(server, "ray::JobActor")).pid not in died and p)
        died.add(dying.pid)
        kill(dying)
    answer = report(wire, "s")
    assert answer["head"]["status"] == "error"
    assert answer["body"]["Error"]["dd_code"] == 1007
    assert answer["body"]["Error"]["dd_msg"] == (
        "the training process died 3 times without getting further, at last:"
        " it was killed or crashed"
    )
    assert wire.train("s", iris_csv, input=INPUT, mllib={"iterations": 1})[0] == 201


def test_a_client_that_leaves_before_its_report(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    """The next one gets it; after that nobody does."""
    _, url = server_and_url
    begun(wire, "s", tmp_path, iris_csv, iterations=400)
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    for _ in range(2):
        client = socket.create_connection((address.hostname, address.port))
        client.sendall(b"GET /train?service=s&job=1&timeout=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        threading.Event().wait(0.2)
        client.close()
    assert report(wire, "s")["head"]["status"] == "finished"
    assert wire.call("GET", "/train?service=s&job=1")[1]["status"]["dd_code"] == 1003


def test_two_clients_that_ask_for_one_report(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    _, url = server_and_url
    begun(wire, "s", tmp_path, iris_csv, iterations=50)
    asking = Load(url, [("GET", "/train?service=s&job=1&timeout=60", None)], clients=6).start()
    asking.more(30, status=404)
    asking.stop()
    assert asking.statuses[200] == 1
    assert set(asking.statuses) == {200, 404}


def test_jobs_without_room_wait_and_say_so(wire: Client, iris_csv: str, tmp_path: Path) -> None:
    """(g) A job has its CPU for itself: one more than there are CPUs has to wait."""
    cpus = psutil.cpu_count() or 1
    names = [f"s{number}" for number in range(cpus + 1)]
    for name in names:
        begun(wire, name, tmp_path / name, iris_csv, iterations=10**6, test_interval=10**6)

    def waiting() -> dict[str, str]:
        answers = {name: wire.call("GET", f"/train?service={name}&job=1")[1] for name in names}
        bodies = {name: said["body"] for name, said in answers.items() if "body" in said}
        return {name: body["waiting"] for name, body in bodies.items() if "waiting" in body}

    ((waits, why),) = eventually(lambda: len(waiting()) == 1 and waiting()).items()
    assert why == f"needs 1 CPU, 0 of {cpus} are free"
    ended = next(name for name in names if name != waits)
    assert wire.call("DELETE", f"/train?service={ended}&job=1")[0] == 200
    eventually(lambda: iteration(wire, waits) > 0)
