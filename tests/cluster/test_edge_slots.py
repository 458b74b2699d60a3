"""What HAProxy is told when replicas come and go."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dd_ray.cluster.edge.config import configuration
from dd_ray.cluster.edge.haproxy import find_haproxy
from dd_ray.cluster.edge.slots import Slots
from dd_ray.services.endpoints import Endpoint
from tests.cluster.edges import needs_haproxy

MAP = Path("/x/services.map")
ARTEFACT = Path(__file__).parents[2] / "deployments" / "edge.cfg"


def at(service: str, port: int, *, replica: str = "a", host: str = "10.0.0.1") -> Endpoint:
    return Endpoint(service=service, replica=replica, host=host, port=port)


def short(commands: list[str]) -> list[str]:
    """Without what is said of every server."""
    return [command.partition(" check ")[0] for command in commands]


def test_a_service_gets_a_slot_and_its_replicas_become_servers() -> None:
    slots = Slots(2, MAP)
    commands = slots.change([at("s", 1), at("s", 2, replica="b", host="::1")], now=0)
    assert short(commands) == [
        "add map /x/services.map s slot-1",
        "add server slot-1/replica-1 10.0.0.1:1",
        "enable health slot-1/replica-1",
        "set server slot-1/replica-1 state ready",
        "add server slot-1/replica-2 [::1]:2",
        "enable health slot-1/replica-2",
        "set server slot-1/replica-2 state ready",
    ]
    assert slots.change([at("s", 1), at("s", 2, replica="b", host="::1")], now=1) == []


def test_a_replica_that_leaves_is_deleted_when_it_can_be_and_cut_off_after_a_minute() -> None:
    slots = Slots(2, MAP)
    slots.change([at("s", 1), at("s", 2, replica="b")], now=0)
    assert slots.sweep(now=0) == []
    assert slots.change([at("s", 2, replica="b")], now=10) == [
        "set server slot-1/replica-1 state maint"
    ]
    assert slots.sweep(now=70) == ["del server slot-1/replica-1"]
    assert slots.sweep(now=71) == [
        "shutdown sessions server slot-1/replica-1",
        "del server slot-1/replica-1",
    ]
    slots.deleted("slot-1/replica-1")
    assert slots.sweep(now=72) == []


def test_a_replica_that_moves_is_another_server() -> None:
    slots = Slots(1, MAP)
    slots.change([at("s", 1)], now=0)
    assert short(slots.change([at("s", 2)], now=0))[:2] == [
        "set server slot-1/replica-1 state maint",
        "add server slot-1/replica-2 10.0.0.1:2",
    ]


def test_a_name_is_taken_off_before_its_replicas_and_its_slot_is_given_last() -> None:
    slots = Slots(3, MAP)
    slots.change([at("a", 1), at("b", 2)], now=0)
    assert slots.change([at("b", 2)], now=0) == [
        "del map /x/services.map a",
        "set server slot-1/replica-1 state maint",
    ]
    given = slots.change([at(name, 3) for name in "bcd"], now=0)
    assert [command for command in given if " map " in command] == [
        "add map /x/services.map c slot-3",
        "add map /x/services.map d slot-1",
    ]


def test_services_wait_for_a_slot(caplog: pytest.LogCaptureFixture) -> None:
    slots = Slots(1, MAP)
    three = [at(name, 1) for name in "abc"]
    assert short(slots.change(three, now=0))[0] == "add map /x/services.map a slot-1"
    assert "2 services have no slot" in caplog.text
    caplog.clear()
    assert slots.change(three, now=0) == []
    assert caplog.text == ""
    assert short(slots.change(three[1:], now=0)) == [
        "del map /x/services.map a",
        "set server slot-1/replica-1 state maint",
        "add map /x/services.map b slot-1",
        "add server slot-1/replica-2 10.0.0.1:1",
        "enable health slot-1/replica-2",
        "set server slot-1/replica-2 state ready",
    ]


@pytest.mark.parametrize("name", ["café", "a b", "a;b", "a\nb", "A", "-a", "", "12", "x" * 64])
def test_other_names_are_not_told(name: str) -> None:
    assert Slots(1, MAP).change([at(name, 1)], now=0) == []


def test_the_file_for_deployments_is_the_configuration_with_64_slots() -> None:
    assert ARTEFACT.read_text() == configuration(64)


@needs_haproxy
def test_haproxy_has_nothing_to_say_about_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "services.map").touch()
    variables = {
        "DD_RAY_EDGE_BIND": "127.0.0.1:8080",
        "DD_RAY_EDGE_SERVE": "127.0.0.1:8000",
        "DD_RAY_EDGE_KEY": "k",
        "DD_RAY_EDGE_CALLER": "",
        "DD_RAY_EDGE_NAMES": "none",
        "DD_RAY_EDGE_FOLDER": str(tmp_path),
        "DD_RAY_EDGE_THREADS": "1",
        "DD_RAY_EDGE_DRAIN": "20s",
    }
    checked = subprocess.run(
        [str(find_haproxy()), "-c", "-f", ARTEFACT], env=variables, capture_output=True, check=True
    )
    assert checked.stdout == b"Configuration file is valid\n"
    assert checked.stderr == b""
