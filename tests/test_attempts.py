"""Attempts at one training, of which only the newest may write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from dd_ray.attempts import Attempt, close_job, open_job
from dd_ray.errors import BadParameter, LibraryError, Superseded
from dd_ray.repository import ModelFiles

MODEL = ModelFiles(suffix=".model", digits=4)
FOLDER = ".job-k"


def attempt(path: Path, number: int) -> Attempt:
    open_job(str(path), "k")
    return Attempt(str(path), "k", number)


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(found.relative_to(path)): found.read_bytes()
        for found in path.rglob("*")
        if found.is_file()
    }


def test_it_writes_reads_and_leaves_no_trace(tmp_path: Path) -> None:
    tried = attempt(tmp_path, 1)
    tried.repository.stage("connector.json", b"learned")
    tried.own.write("result.json", b"{}")
    tried.folder("at-1").write("model", b"")
    assert tried.repository.read("connector.json") is None
    tried.repository.save_model(1, MODEL, b"one")
    with tried.scratch() as scratch:
        (scratch / "page").write_bytes(b"")
    assert not scratch.exists()
    close_job(str(tmp_path), "k")
    left = tree(tmp_path)
    left.pop(".dd-ray")
    assert left == {"0001.model": b"one", "connector.json": b"learned"}
    assert not (tmp_path / FOLDER).exists()
    close_job(str(tmp_path), "k")


OLD_WRITES: list[Callable[[Attempt], object]] = [
    lambda old: old.repository.write("0002.model", b"old"),
    lambda old: old.repository.save_model(2, MODEL, b"old"),
    lambda old: old.repository.stage("connector.json", b"old"),
    lambda old: old.repository.drop("0001.model"),
    lambda old: old.repository.drop_model(1, MODEL),
    lambda old: old.own.write("checkpoint.json", b"old"),
    lambda old: old.folder("at-1").write("x", b"old"),
]


@pytest.mark.parametrize("write", OLD_WRITES)
@pytest.mark.parametrize("ended", [False, True])
def test_an_older_attempt_changes_nothing(
    tmp_path: Path, write: Callable[[Attempt], object], ended: bool
) -> None:
    old = attempt(tmp_path, 1)
    old.repository.save_model(1, MODEL, b"one")
    old.repository.stage("connector.json", b"old")
    new = attempt(tmp_path, 2)
    new.own.write("checkpoint.json", b"new")
    if ended:
        close_job(str(tmp_path), "k")
    before = tree(tmp_path)
    with pytest.raises(Superseded):
        write(old)
    assert tree(tmp_path) == before


def test_what_an_older_attempt_was_writing_is_lost(tmp_path: Path) -> None:
    """The new one begins while the content of a file is being written, before its rename."""
    old = attempt(tmp_path, 1)
    writing, begun = threading.Event(), threading.Event()

    def slow(file: BinaryIO) -> None:
        file.write(b"old")
        writing.set()
        assert begun.wait(10)

    errors: list[BaseException] = []

    def save() -> None:
        try:
            old.repository.save_model(1, MODEL, slow)
        except Superseded as exc:
            errors.append(exc)

    thread = threading.Thread(target=save)
    thread.start()
    assert writing.wait(10)
    new = attempt(tmp_path, 2)
    new.repository.save_model(1, MODEL, b"new")
    begun.set()
    thread.join()
    assert len(errors) == 1
    assert (tmp_path / "0001.model").read_bytes() == b"new"


def test_an_older_attempt_that_wakes_up_late_does_not_begin(tmp_path: Path) -> None:
    new = attempt(tmp_path, 2)
    with pytest.raises(Superseded, match=r"attempt 2 .* began after 1"):
        Attempt(str(tmp_path), "k", 1)
    new.repository.write("0001.model", b"")
    close_job(str(tmp_path), "k")
    with pytest.raises(Superseded, match="has ended"):
        Attempt(str(tmp_path), "k", 3)


def test_trainings_of_one_repository_do_not_end_each_other(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1)
    open_job(str(tmp_path), "other")
    Attempt(str(tmp_path), "other", 5)
    close_job(str(tmp_path), "other")
    first.repository.write("0001.model", b"")


def test_the_scratch_of_a_dead_attempt_goes(tmp_path: Path) -> None:
    tmp = attempt(tmp_path, 1).scratch()
    dead = tmp.__enter__()
    with attempt(tmp_path, 2).scratch() as scratch:
        assert not dead.exists()
        assert scratch.is_dir()


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="not writable or does not exist"):
        open_job(str(tmp_path / "no"), "k")


def test_other_failures_are_no_supersession(tmp_path: Path) -> None:
    tried = attempt(tmp_path, 1)
    (tmp_path / "taken").mkdir()
    with pytest.raises(LibraryError, match=r"cannot write .*/taken: Is a directory") as caught:
        tried.repository.write("taken", b"")
    assert not isinstance(caught.value, Superseded)


WRITER = """
import sys
from dd_ray.attempts import Attempt
attempt = Attempt(sys.argv[1], "k", 1)
print("begun", flush=True)
number = 0
while True:
    number += 1
    attempt.repository.write("0001.model", b"old %d" % number)
    attempt.repository.write(f"{number % 50:04d}.old", b"x" * 10_000)
    attempt.repository.drop(f"{number % 50:04d}.old")
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.02, 0.05])
def test_a_process_that_sleeps_through_the_takeover(tmp_path: Path, wait_s: float) -> None:
    """Stopped wherever it is in its writing, it can finish nothing when it goes on."""
    open_job(str(tmp_path), "k")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    while not (tmp_path / "0001.model").exists():
        pass
    threading.Event().wait(wait_s)
    os.kill(process.pid, signal.SIGSTOP)
    new = attempt(tmp_path, 2)
    new.repository.write("0001.model", b"new")
    before = tree(tmp_path)
    os.kill(process.pid, signal.SIGCONT)
    _, error = process.communicate(timeout=60)
    assert "Superseded" in error
    assert tree(tmp_path) == before
    assert (tmp_path / "0001.model").read_bytes() == b"new"


def test_a_copy_elsewhere_is_not_made_by_an_older_attempt(tmp_path: Path) -> None:
    old = attempt(tmp_path, 1)
    old.repository.save_model(1, MODEL, b"old")
    attempt(tmp_path, 2)
    with pytest.raises(Superseded):
        old.repository.copy_to(str(tmp_path / "copy"), "0001.model")
    assert tree(tmp_path / "copy").keys() <= {".dd-ray"}
