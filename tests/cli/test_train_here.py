"""`dd-ray train` without a server: on a Ray of its own, and how it is stopped."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.cli.command import Command
from tests.cli.conftest import Run, WriteCalls

pytestmark = pytest.mark.ray


def training(*arguments: str, folder: Path) -> Command:
    """`dd-ray train` on a Ray of its own."""
    return Command("train", *arguments, "--ray-address", "local", folder=folder)


@pytest.fixture
def long_calls(write_calls: WriteCalls) -> str:
    return write_calls(iterations=1_000_000, test_interval=1_000_000)


def test_a_training_needs_no_server_and_leaves_no_process(
    write_calls: WriteCalls, tmp_path: Path, run: Run
) -> None:
    """From another folder, to a relative repository; then a server predicts from it."""
    path = write_calls(iterations=20)
    command = training(path, "--repository", "here", folder=tmp_path)
    command.wait_for("iris job 1: running")
    children = psutil.Process(command.process.pid).children(recursive=True)
    assert command.end() == 0, command.output
    assert children
    assert psutil.wait_procs(children, 10)[1] == []
    assert "iris job 1: finished" in command.output
    assert (tmp_path / "here" / "0020.model").exists()
    run("create", path, "--repository", str(tmp_path / "here"))
    assert run("predict", "iris", "5.1,3.5,1.4,0.2").stdout.splitlines()[1].split()[1] == "0"


def test_ctrl_c_saves_and_ends(long_calls: str, tmp_path: Path) -> None:
    command = training(long_calls, folder=tmp_path)
    command.wait_for(": iteration ")
    command.process.send_signal(signal.SIGINT)
    assert command.end() == 128 + signal.SIGINT, command.output
    assert "iris job 1: terminated" in command.output
    (model,) = (tmp_path / "model").glob("*.model")
    assert int(model.stem) > 1


def test_a_second_signal_does_not_wait(long_calls: str, tmp_path: Path) -> None:
    """The training cannot save, because its process is held."""
    command = training(long_calls, folder=tmp_path)
    command.wait_for(": iteration ")
    children = psutil.Process(command.process.pid).children(recursive=True)
    (job,) = [child for child in children if "JobActor" in " ".join(child.cmdline())]
    job.suspend()
    command.process.send_signal(signal.SIGINT)
    command.process.send_signal(signal.SIGTERM)  # another one, because equal ones may be merged
    assert command.end() in (128 + signal.SIGINT, 128 + signal.SIGTERM), command.output
    assert psutil.wait_procs(children, 10)[1] == []


def test_a_ray_that_is_not_there_is_unreachable(write_calls: WriteCalls, run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("train", write_calls(), "--ray-address", nowhere, exits=3, DD_RAY_ADDRESS="")
    assert result.stderr == f"dd-ray: no Ray at {nowhere}: nothing listens there\n"


def test_a_file_that_only_trains_needs_a_server(
    run: Run, write_calls: WriteCalls, tmp_path: Path
) -> None:
    path = Path(write_calls())
    path.write_text(json.dumps({"service": "iris", "data": ["x"]}))
    result = run("train", str(path), exits=2, DD_RAY_ADDRESS="")
    assert "no definition of a service" in result.stderr
