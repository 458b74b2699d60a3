"""The edge while replicas, services, the state, Serve and HAProxy itself come and go."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from dd_ray.cluster.edge.edge import Edge, EdgeThread
from dd_ray.cluster.edge.haproxy import DidNotStart
from tests.cluster.edges import Board, Lab, calling, lab, needs_haproxy
from tests.cluster.load import eventually
from tests.cluster.upstream import UpstreamProcess, upstream

pytestmark = needs_haproxy


def test_no_call_fails_when_a_replica_is_killed_and_when_the_next_one_comes() -> None:
    with lab() as edge:
        replica = UpstreamProcess("first")
        edge.board.register("s", replica.port)
        with calling(edge, ["s"]) as load:
            eventually(lambda: load.answered["first"] > 100)
            replica.kill()
            eventually(lambda: load.answered["serve"] > 100)
            next_one = UpstreamProcess("next")
            edge.board.register("s", next_one.port, replica="b")
            eventually(lambda: load.answered["next"] > 100)
        next_one.kill()
        assert load.failures == []
        assert edge.who("s") == "serve"


def test_no_call_fails_when_one_of_two_replicas_is_killed() -> None:
    with lab() as edge:
        replicas = [UpstreamProcess("first"), UpstreamProcess("second")]
        for name, replica in zip("ab", replicas, strict=True):
            edge.board.register("s", replica.port, replica=name)
        with calling(edge, ["s"]) as load:
            eventually(lambda: min(load.answered["first"], load.answered["second"]) > 100)
            replicas[0].kill()
            load.more(200)
            before = load.answered["second"]
            load.more(200)
            assert load.answered["second"] >= before + 200
        replicas[1].kill()
        assert load.failures == []


def test_a_replica_that_nobody_reports_is_found_dead_and_alive_again() -> None:
    """With the state away, only HAProxy looks."""
    with lab() as edge:
        replica = UpstreamProcess("first")
        edge.board.register("s", replica.port)
        eventually(lambda: edge.who("s") == "first")
        edge.board.away = True
        with calling(edge, ["s"]) as load:
            replica.kill()
            eventually(lambda: load.answered["serve"] > 100)
            back = UpstreamProcess("back", replica.port)
            eventually(lambda: load.answered["back"] > 100)
        back.kill()
        assert load.failures == []


def test_a_replica_that_leaves_answers_what_it_has_begun_and_is_deleted() -> None:
    with lab() as edge:
        with ExitStack() as life:
            replica = life.enter_context(upstream("s-a"))
            edge.board.register("s", replica.port)
            eventually(lambda: edge.who("s") == "s-a")
            replica.delay_s = 0.5
            with ThreadPoolExecutor(1) as client:
                begun = client.submit(edge.who, "s")
                eventually(lambda: replica.begun == 1)
                edge.board.unregister("s")
                eventually(lambda: edge.who("s") == "serve")
                assert begun.result() == "s-a"
        eventually(lambda: "replica" not in edge.ask("show servers state"))


def test_300_services_come_and_go_without_a_dropped_call() -> None:
    with lab(slots=310) as edge:
        stays = edge.replica("stays")
        names = [f"s{number}" for number in range(300)]
        with upstream("many") as many, calling(edge, ["stays", "s7", "s299"]) as load:
            for _ in range(2):
                for name in names:
                    edge.board.register(name, many.port)
                eventually(lambda: edge.who("s299") == "many")
                assert {edge.who(name) for name in names} == {"many"}
                for name in names:
                    edge.board.forget(name)
                eventually(lambda: edge.who("s299") == "serve")
                assert {edge.who(name) for name in names} == {"serve"}
            load.more(200)
        assert load.failures == []
        assert set(load.answered) == {stays.name, "many", "serve"}


def test_services_without_a_slot_are_called_through_serve(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with lab(slots=2) as edge, upstream("r") as replica:
        for name in ("a", "b", "c", "d", "12", "café"):
            edge.board.register(name, replica.port)
        who = {"a": "r", "b": "r", "c": "serve", "d": "serve", "12": "serve", "café": "serve"}
        eventually(lambda: {name: edge.who(name) for name in who} == who)
        assert "2 services have no slot" in caplog.text
        edge.board.forget("a")
        eventually(lambda: edge.who("c") == "r")
        assert edge.who("a") == "serve"


def test_a_killed_haproxy_is_started_again_and_knows_all() -> None:
    with lab() as edge:
        names = {name: edge.replica(name).name for name in ("a", "b", "c")}
        edge.board.away = True  # and nobody can be asked
        with calling(edge, names) as load:
            for _ in range(3):
                killed = edge.haproxy()
                load.failures.clear()
                killed.kill()
                load.answered.clear()
                eventually(lambda: min(load.answered[each] for each in names.values()) > 20)
                assert edge.haproxy() != killed
                # what it was answering is lost with it, but nobody is refused
                assert len(load.failures) <= 4
                assert not [failure for failure in load.failures if "Refused" in failure]
        edge.board.away = False
        assert edge.replica("d").name == "d-a"


def test_an_haproxy_that_takes_no_commands_is_replaced() -> None:
    with lab() as edge, upstream("s-a") as replica:
        before = edge.haproxy()
        (Path(before.cmdline()[-1]).parent / "admin.sock").unlink()
        edge.board.register("s", replica.port)  # which it cannot be told
        eventually(lambda: not before.is_running())
        edge.replica("t")
        assert edge.haproxy() != before


def test_an_edge_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with lab() as edge:
        process = edge.haproxy()
        folder = Path(process.cmdline()[-1]).parent
        socket_file = folder / "admin.sock"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert socket_file.stat().st_mode & 0o777 == 0o600
        assert len(str(socket_file)) < 97
        listening = [each for each in process.net_connections() if each.status == "LISTEN"]
        assert {each.laddr.port for each in listening} == {edge.port}
    assert not process.is_running()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", edge.port))


def test_an_edge_that_ends_answers_what_it_has_begun_and_refuses_the_rest() -> None:
    with lab() as edge, ThreadPoolExecutor(1) as client:
        replica = edge.replica("s")
        replica.delay_s = 0.3
        begun = client.submit(edge.who, "s")
        eventually(lambda: replica.begun == 1)
        edge.close()
        assert begun.result() == "s-a"
        with pytest.raises(ConnectionRefusedError):
            edge.who("s")


def test_haproxy_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "from tests.cluster.edges import lab\n"
        "with lab() as edge:\n"
        "    print(edge.haproxy().pid, flush=True)\n"
        "    input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    haproxy = psutil.Process(int(parent.stdout.readline()))
    folder = Path(haproxy.cmdline()[-1]).parent
    assert haproxy.name() == "haproxy"
    parent.kill()
    parent.communicate()
    haproxy.wait(10)
    shutil.rmtree(folder)  # which nobody was left to remove


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/haproxy"])
def test_a_haproxy_that_does_not_start_is_an_error_at_once(program: str) -> None:
    board = Board()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        edge = Edge(
            program=program,
            listening=listening,
            serve="127.0.0.1:1",
            key="k",
            caller="",
            any_name=False,
            slots=1,
            threads=1,
            drain_s=1.0,
            endpoints=board.wait,
        )
        with pytest.raises(DidNotStart, match="exit code"):
            EdgeThread(edge).start()
    board.close()


@pytest.fixture(autouse=True)
def _hear_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dd_ray")


def test_a_second_edge_on_the_port_is_refused() -> None:
    with lab() as edge, pytest.raises(OSError, match="in use"):
        second_on(edge)


def second_on(edge: Lab) -> None:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", edge.port))
