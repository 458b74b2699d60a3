"""What a Ray of our own does without, and what its processes import."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from ray._private.node import Node

from dd_ray.cluster.lean_serve import _Hiding, _Loader
from dd_ray.cluster.own_ray import own_flags, without_unused_parts
from dd_ray.cluster.warm import _FOR_JOBS, _MODULES, _OF_SERVERS
from tests.cluster.servers import Server

_WITHOUT_PANDAS = """
import sys
import dd_ray.cluster, ray.serve
from ray.serve._private import utils
assert "pandas" not in sys.modules and utils.pd is None
import pandas
assert pandas.DataFrame({"a": [1]}).a.sum() == 1
"""


def test_serve_does_not_import_pandas_and_others_may() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_PANDAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pandas_is_hidden_from_the_thread_that_imports_serve_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = _Hiding()
    monkeypatch.setattr(_Loader, "threads", {threading.get_ident() + 1})
    assert finder.find_spec("pandas", None) is None
    monkeypatch.setattr(_Loader, "threads", {threading.get_ident()})
    assert finder.find_spec("numpy", None) is None
    with pytest.raises(ModuleNotFoundError, match="pandas"):
        finder.find_spec("pandas", None)


def test_flags_of_the_operator_stay() -> None:
    flags = own_flags({"RAY_event_stats": "1"})
    assert "RAY_event_stats" not in flags
    assert flags["RAY_SERVE_CONTROL_LOOP_INTERVAL_S"] == "0.2"


def test_unused_parts_are_there_again_afterwards() -> None:
    before = Node.start_monitor
    with contextlib.suppress(OSError), without_unused_parts():
        assert Node.start_monitor is not before
        raise OSError("Ray did not start")
    assert Node.start_monitor is before


def test_what_workers_import_ahead_is_there() -> None:
    for name in " ".join([_OF_SERVERS, *_MODULES.values(), *_FOR_JOBS.values()]).split():
        assert importlib.util.find_spec(name), name


@pytest.mark.ray
def test_a_server_runs_only_what_it_uses(server_and_url: tuple[Server, str]) -> None:
    server, _ = server_and_url
    commands = server.commands()
    programs = {Path(word).name for command in commands.values() for word in command}
    assert "gcs_server" in programs
    assert not programs & {"monitor.py", "log_monitor.py", "dashboard.py"}
    proxies = [process for process in commands if _is_serves(process)]
    assert len(proxies) == 3  # with the controller
    for process in proxies:
        assert not [each for each in process.memory_maps() if "/pandas/" in each.path]


def _is_serves(process: psutil.Process) -> bool:
    names = ("ray::ServeController", "ray::ProxyActor", "ray::HAProxyManager")
    return " ".join(process.cmdline()).startswith(names)
