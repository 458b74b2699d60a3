"""A model repository on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dd_ray.errors import BadParameter, LibraryError
from dd_ray.repository import Repository


def test_it_is_made_when_asked_and_else_must_be_there(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b")
    with pytest.raises(BadParameter, match="not writable or does not exist"):
        Repository.open(path, create=False)
    Repository.open(path, create=True)
    assert list(Path(path).iterdir()) == []


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(BadParameter):
        Repository.open(path, create=True)


def test_the_newest_model_has_the_highest_number(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.newest_model(".model") is None
    (tmp_path / "my.model").write_bytes(b"by hand")
    assert repository.newest_model(".model") == tmp_path / "my.model"
    for number in (9, 10, 2):
        (tmp_path / f"{number:04d}.model").write_bytes(b"")
    (tmp_path / "99999.other").write_bytes(b"")
    assert repository.newest_model(".model") == tmp_path / "0010.model"


def test_a_shorter_training_supersedes_a_longer_older_one(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.save_model(50, ".model", b"old")
    repository.save_model(5, ".model", b"new 5")
    repository.save_model(10, ".model", b"new 10")
    assert [number for number, _ in repository.models(".model")] == [5, 10]
    assert repository.newest_model(".model").read_bytes() == b"new 10"  # type: ignore[union-attr]


def test_staged_files_take_their_place_with_the_next_model(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.write("connector.json", b"old")
    repository.stage("connector.json", b"new")
    assert repository.read("connector.json") == b"old"
    repository.save_model(1, ".model", b"")
    assert repository.read("connector.json") == b"new"
    repository.stage("connector.json", b"never")
    repository.drop_staged()
    repository.save_model(2, ".model", b"")
    assert repository.read("connector.json") == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0001.model",
        "0002.model",
        "connector.json",
    ]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path)
    repository.save_model(1, ".model", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LibraryError, match=r"cannot write .*0001\.model: No space left on device"):
        repository.save_model(1, ".model", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["0001.model"]
    assert repository.read("0001.model") == b"old"


def test_class_names_may_have_blanks_and_holes(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.class_names() == []
    repository.write("corresp.txt", b"0 black cat\n2 dog\n\nnonsense\n")
    assert repository.class_names() == ["black cat", "1", "dog"]
    repository.stage_class_names(["a b", "c\nd"])
    repository.save_model(1, ".model", b"")
    assert repository.class_names() == ["a b", "c d"]


def test_scratch_is_gone_afterwards_also_of_a_killed_training(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (tmp_path / ".scratch-old").mkdir()
    with repository.scratch() as folder:
        (folder / "x").write_text("")
        assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert list(tmp_path.iterdir()) == []
