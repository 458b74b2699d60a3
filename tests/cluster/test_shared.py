"""Services that share a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.api.client import Client
from tests.cluster.faults import INPUT, OUTPUT, ROW, predicting, process, processes
from tests.cluster.load import eventually
from tests.cluster.servers import Server

SHARED = "ServeReplica:shared-services"
TWO = "zwölf"
"""A name that is not written the same everywhere: its calls go through the API."""


def test_services_share_a_process(
    server_and_url: tuple[Server, str], wire: Client, tmp_path: Path, iris_csv: str
) -> None:
    """Each has its own model; what dies with the process comes back with it."""
    server, url = server_and_url

    def answers(name: str) -> Any:
        code, answer = wire.predict(name, ROW, output={"best": 3})
        assert code == 200, answer
        return sorted(each["cat"] for each in answer["body"]["predictions"][0]["classes"])

    for name, iterations in {"one": 3, TWO: 8, "alone": 3}.items():
        shared = {"shared": True} if name != "alone" else {}
        mllib = {"nclasses": 3} | shared
        assert wire.create(name, str(tmp_path / name), mllib=mllib)[0] == 201
        trained = wire.train(
            name, iris_csv, mllib={"iterations": iterations}, input=INPUT, output=OUTPUT
        )
        assert trained[0] == 201, trained
        assert len(answers(name)) == 3
    first = process(server, SHARED)
    assert len(processes(server, "ServeReplica:s-")) == 1  # alone has one

    with predicting(url, "one") as quick, predicting(url, TWO) as by_the_api:
        quick.more(20)
        by_the_api.more(20)
        assert set(quick.statuses) | set(by_the_api.statuses) == {200}
    assert probability(wire, "one") != probability(wire, TWO)

    calling = [predicting(url, name) for name in ("alone", "one", TWO)]
    with calling[0] as load, calling[1] as one, calling[2] as two:
        first.kill()
        process(server, SHARED)
        one.more(20)
        two.more(20)
    assert set(load.statuses) == {200}
    second = process(server, SHARED)
    assert second.pid != first.pid

    assert wire.call("DELETE", "/services/one")[0] == 200
    assert wire.predict("one", ROW)[0] == 404
    assert answers(TWO) == answers("alone")
    own = {"nclasses": 3}
    assert wire.create("one", str(tmp_path / "one"), mllib=own)[0] == 201
    eventually(lambda: wire.predict("one", ROW)[0] == 200)
    assert wire.call("DELETE", f"/services/{TWO}")[0] == 200
    eventually(lambda: not second.is_running())
    assert wire.predict("alone", ROW)[0] == wire.predict("one", ROW)[0] == 200


def test_a_state_that_was_restarted_finds_them(
    server_and_url: tuple[Server, str], wire: Client, tmp_path: Path, iris_csv: str
) -> None:
    server, _ = server_and_url
    mllib = {"nclasses": 3, "shared": True}
    assert wire.create("one", str(tmp_path / "one"), mllib=mllib)[0] == 201
    assert wire.train("one", iris_csv, mllib={"iterations": 3}, input=INPUT)[0] == 201
    held = process(server, SHARED)
    process(server, "StateActor").kill()
    assert wire.predict("one", ROW)[0] == 200
    assert wire.create("two", str(tmp_path / "two"), mllib=mllib)[0] == 201
    assert process(server, SHARED).pid == held.pid
    assert wire.call("DELETE", "/services/one")[0] == 200
    assert wire.predict("one", ROW)[0] == 404
    assert wire.call("DELETE", "/services/two")[0] == 200
    eventually(lambda: not held.is_running())


def probability(wire: Client, name: str) -> float:
    answer = wire.predict(name, ROW)[1]
    found: float = answer["body"]["predictions"][0]["classes"][0]["prob"]
    return found
