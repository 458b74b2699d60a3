"""What clients are told."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

import dd_ray
from dd_ray.guard.messages import told
from tests.conftest import SetSettings


def test_a_clients_own_paths_stay() -> None:
    message = "cannot open file /data/train.csv: no such file or directory; /tmp/x, /tmp/dd-ray"
    assert told(message) == message


@pytest.mark.parametrize(
    "path",
    [
        f"{sys.prefix}/lib/python3.11/site-packages/torch/serialization.py",
        f"{sys.base_prefix}/lib/python3.11/json/decoder.py",
        f"{Path(dd_ray.__file__).parent}/services/pipeline.py",
        "/tmp/dd-ray-k3j2/download-1",
        "/tmp/ddr-x8a1/session_2026/sockets/raylet",
        "/tmp/ray/session_latest/logs",
        str(Path("~/.ray/auth_token").expanduser()),
    ],
)
def test_paths_of_the_machines_inside_do_not(path: str) -> None:
    for message in (path, f"cannot read {path}: broken", f"'{path}'", f"({path})"):
        shown = told(message)
        assert path not in shown
        assert shown == message.replace(path, "...")


def test_the_servers_home_does_not(set_settings: SetSettings) -> None:
    set_settings(home="/srv/state")
    assert told("disk full: /srv/state/jobs.sqlite") == "disk full: ..."
    assert told("/srv/statement.csv") == "/srv/statement.csv"


def test_a_stack_becomes_its_last_line() -> None:
    try:
        raise ValueError("what happened")
    except ValueError:
        stack = traceback.format_exc()
    assert told(f"the training failed: {stack}") == "the training failed: ValueError: what happened"
    assert told('failed: File "/x/y.py", line 3, in f') == "failed:"


def test_a_message_has_an_end() -> None:
    assert len(told("x" * 10**6)) < 5000
