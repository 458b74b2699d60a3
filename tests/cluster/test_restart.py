"""A server that comes back after the power went: to a lost repository, full disks, long logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.client import Client
from tests.cluster.conftest import SETTINGS
from tests.cluster.faults import (
    INPUT,
    ROW,
    assert_as_unbroken,
    begun,
    checkpointed,
    files,
    fill_home,
    iteration,
    kill_everything,
    trained,
)
from tests.cluster.load import eventually
from tests.cluster.servers import Server, running, session_folder
from tests.disks import Disk, small_disk

pytestmark = pytest.mark.ray

KEY = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {KEY}"}
LOG_BYTES = 50_000
LOGS = {
    "DD_RAY_LOG_FORMAT": "json",
    "DD_RAY_ACCESS_LOG": "true",
    "RAY_ROTATION_MAX_BYTES": str(LOG_BYTES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """A server that is back, and what there was when it was killed."""

    server: Server
    url: str
    wire: Client
    repositories: Path
    prediction: Any
    """Of the service `there`."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with small_disk(tmp_path_factory.mktemp("home") / "disk", megabytes=16) as disk:
        yield disk


@pytest.fixture(scope="module")
def back(
    home: Disk, iris_csv: str, tmp_path_factory: pytest.TempPathFactory, unbroken: object
) -> Iterator[Back]:
    folder = tmp_path_factory.mktemp("repositories")
    own = {"DD_RAY_HOME": str(home.path), "DD_RAY_API_KEY": KEY}
    env = SETTINGS | LOGS | own
    with ExitStack() as ending:
        server, url = ending.enter_context(running(env=env))
        http = ending.enter_context(httpx.Client(base_url=url, headers=BEARER, timeout=120))
        wire = Client(http)
        for name in ("gone", "there"):
            trained(wire, name, folder / name, iris_csv)
            assert wire.call("GET", f"/services/{name}")[1]["body"]["ready"] is True
        prediction = wire.predict("there", ROW)[1]["body"]
        begun(wire, "s", folder / "s", iris_csv)
        eventually(lambda: checkpointed(folder / "s"))
        kill_everything(server)
    shutil.rmtree(folder / "gone")
    with (
        running(env=env) as (server, url),
        httpx.Client(base_url=url, headers=BEARER, timeout=120) as http,
    ):
        yield Back(
            server=server,
            url=url,
            wire=Client(http),
            repositories=folder,
            prediction=prediction,
        )


def test_the_whole_machine(back: Back, unbroken: tuple[Any, bytes]) -> None:
    """(e) Services are back with their models, and the training goes on where it was."""
    eventually(lambda: back.wire.call("GET", "/services/there")[1]["body"]["ready"])
    assert back.wire.predict("there", ROW)[1]["body"] == back.prediction
    assert_as_unbroken(back.wire, "s", back.repositories / "s", unbroken)


def test_a_service_whose_model_has_gone_says_so_and_keeps_nobody_waiting(back: Back) -> None:
    for path in ("/healthz", "//readyz/"):
        assert httpx.get(f"{back.url}{path}", timeout=60).status_code in (200, 503)
    assert httpx.get(f"{back.url}/info", timeout=60).status_code == 401
    eventually(lambda: httpx.get(f"{back.url}/readyz", timeout=60).status_code == 200)
    services = httpx.get(f"{back.url}/readyz", timeout=60).json()["body"]["services"]
    assert services == {"count": 3, "ready": 2, "starting": 0}
    assert back.wire.predict("there", ROW)[0] == 200
    code, answer = back.wire.predict("gone", ROW)
    assert code >= 400
    problem = back.wire.call("GET", "/services/gone")[1]["body"]["problem"]
    assert str(back.repositories / "gone") in problem
    assert answer["status"]["dd_msg"] == problem


def test_a_full_home(
    back: Back, home: Disk, iris_csv: str, tmp_path: Path, unbroken: tuple[Any, bytes]
) -> None:
    """(f) What changes something is refused until there is room, what goes on waits for it."""
    wire = back.wire
    trained(wire, "other", tmp_path / "other", iris_csv)
    begun(wire, "waits", tmp_path / "waits", iris_csv)
    eventually(lambda: iteration(wire, "waits") > 0)
    kept = files(tmp_path / "other")
    fill_home(home)
    given = {"input": INPUT, "mllib": {"iterations": 2}}
    refusals = [
        wire.create("new", str(tmp_path / "new"), mllib={"nclasses": 3}),
        wire.train("other", iris_csv, **given),
        wire.train("other", iris_csv, blocking=False, **given),
        wire.call("DELETE", "/services/other?clear=full"),
    ]
    for code, answer in refusals:
        assert (code, answer["status"]["dd_code"]) == (503, 503)
        assert answer["status"]["dd_msg"] == (
            "the server cannot keep its state in DD_RAY_HOME: database or disk is full"
        )
    assert files(tmp_path / "other") == kept
    assert wire.predict("other", ROW)[0] == 200
    assert wire.call("GET", "/services/other")[1]["body"]["jobs"] == []
    assert wire.call("GET", "/services/new")[0] == 404
    assert not [words for words in back.server.commands().values() if "s-new" in " ".join(words)]
    assert iteration(wire, "waits") >= 0
    home.make_room()
    assert wire.create("new", str(tmp_path / "new"), mllib={"nclasses": 3})[0] == 201
    code, answer = wire.train("other", iris_csv, blocking=False, **given)
    assert (code, answer["head"]["job"]) == (201, 1)
    assert_as_unbroken(wire, "waits", tmp_path / "waits", unbroken)


def test_logs_are_bounded(back: Back) -> None:
    """Whole lines of JSON, in files that make room for the next."""
    logs = session_folder(back.server) / "logs"

    def rotated() -> list[Path]:
        assert all(back.wire.call("GET", "/info")[0] == 200 for _ in range(50))
        return list(logs.glob("worker-*.err.2"))

    (oldest,) = eventually(rotated)
    whole = [oldest, oldest.with_suffix(".1"), oldest.with_suffix("")]
    assert not oldest.with_suffix(".3").exists()
    for path in whole[:2]:
        assert LOG_BYTES / 2 < path.stat().st_size < LOG_BYTES * 1.5
        own = [line for line in path.read_text().splitlines() if not line.startswith(":")]
        lines = [json.loads(line) for line in own]  # but for those in which Ray says whose it is
        assert any(line["logger"] == "dd_ray.access" and line["path"] for line in lines)
