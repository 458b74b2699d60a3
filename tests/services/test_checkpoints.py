"""When a training makes a checkpoint, and which one the next attempt finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dd_ray.attempts import Attempt, open_job
from dd_ray.errors import LibraryError, Superseded
from dd_ray.repository import Repository
from dd_ray.services.checkpoints import Checkpoints


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def checkpoints(path: Path, number: int, clock: Clock | None = None) -> Checkpoints:
    open_job(str(path), "k")
    attempt = Attempt(str(path), "k", number)
    return Checkpoints(attempt, every_s=60.0, clock=clock or Clock())


def saves(content: bytes) -> Any:
    return lambda folder: folder.write("model", content)


def test_the_next_attempt_finds_the_last_one(tmp_path: Path) -> None:
    first = checkpoints(tmp_path, 1)
    assert first.found is None
    for done in (5, 9):
        first.make(done, notes={"measure": {"acc": 0.5}}, save=saves(b"%d" % done))
    found = checkpoints(tmp_path, 2).found
    assert found is not None
    assert (found.done, found.notes) == (9, {"measure": {"acc": 0.5}})
    assert found.folder.read("model") == b"9"
    assert [path.name for path in (tmp_path / ".job-k").glob("at-*")] == ["at-9"]


def test_a_saved_model_is_a_checkpoint_by_itself(tmp_path: Path) -> None:
    first = checkpoints(tmp_path, 1)
    first.make(5, notes={}, save=saves(b"5"))
    first.make(7, notes={}, save=None)
    second = checkpoints(tmp_path, 2)
    assert second.found is not None
    assert second.found.folder.path == tmp_path
    second.make(9, notes={}, save=saves(b"9"))
    assert [path.name for path in (tmp_path / ".job-k").glob("at-*")] == ["at-9"]


def test_dying_before_the_marker_leaves_the_one_before(tmp_path: Path) -> None:
    first = checkpoints(tmp_path, 1)
    first.make(5, notes={}, save=saves(b"5"))

    def dies(folder: Repository) -> None:
        folder.write("model", b"9")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.make(9, notes={}, save=dies)
    found = checkpoints(tmp_path, 2).found
    assert found is not None
    assert (found.done, found.folder.read("model")) == (5, b"5")


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    first = checkpoints(tmp_path, 1)
    first.make(5, notes={}, save=saves(b"5"))

    def full(folder: Repository) -> None:
        folder.write("model", lambda file: file.write(b"half") and _no_space())

    with pytest.raises(LibraryError, match="No space left on device"):
        first.make(9, notes={}, save=full)
    found = checkpoints(tmp_path, 2).found
    assert found is not None
    assert found.done == 5


def _no_space() -> None:
    import errno
    import os

    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_older_attempt_neither_makes_nor_removes_one(tmp_path: Path) -> None:
    """Also not when it has written its marker and was to remove the one before it."""
    old = checkpoints(tmp_path, 1)
    old.make(5, notes={}, save=saves(b"5"))
    new = checkpoints(tmp_path, 2)
    with pytest.raises(Superseded):
        old.make(6, notes={}, save=saves(b"6"))
    new.make(8, notes={}, save=saves(b"8"))
    with pytest.raises(Superseded):
        old.make(9, notes={}, save=None)
    found = checkpoints(tmp_path, 3).found
    assert found is not None
    assert (found.done, found.folder.read("model")) == (8, b"8")


def test_it_is_due_after_the_time_of_the_setting(tmp_path: Path) -> None:
    clock = Clock()
    made = checkpoints(tmp_path, 1, clock)
    assert not made.due
    clock.now += 60
    assert made.due
    made.make(1, notes={}, save=None)
    assert not made.due
    clock.now += 59
    assert not made.due
    clock.now += 1
    assert made.due


def test_a_slow_one_is_due_less_often(tmp_path: Path) -> None:
    """Not more than a twentieth of a training goes into them."""
    clock = Clock()
    made = checkpoints(tmp_path, 1, clock)

    def slow(folder: Repository) -> None:
        clock.now += 10

    made.make(1, notes={}, save=slow)
    clock.now += 199
    assert not made.due
    clock.now += 1
    assert made.due
