"""A model repository on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from dd_ray.errors import BadParameter, Forbidden, LibraryError
from dd_ray.repository import OWNER, ModelFiles, Repository
from tests.conftest import SetSettings

MODEL = ModelFiles(suffix=".model", digits=4)


def test_it_is_made_when_asked_and_else_must_be_there(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b")
    with pytest.raises(BadParameter, match="not writable or does not exist"):
        Repository.open(path, create=False)
    Repository.open(path, create=True)
    assert [found.name for found in Path(path).iterdir()] == [OWNER]


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(BadParameter):
        Repository.open(path, create=True)


def test_a_mark_that_is_a_link_is_none(tmp_path: Path) -> None:
    """Whoever may put a link into a folder need not own what is in it."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")
    (tmp_path / "theirs" / OWNER).symlink_to(tmp_path / "ours" / OWNER)
    ours = Repository.open(str(tmp_path / "ours"), create=False)
    theirs = Repository.open(str(tmp_path / "theirs"), create=False)
    assert (ours.is_ours, theirs.is_ours) == (True, False)


def test_a_file_that_leads_out_of_the_roots_is_not_read(
    tmp_path: Path, set_settings: SetSettings
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "names").write_text("0 secret\n")
    (tmp_path / "root" / "corresp.txt").symlink_to(tmp_path / "names")
    set_settings(roots=tmp_path / "root")
    with pytest.raises(Forbidden):
        Repository(tmp_path / "root").class_names()


def test_the_newest_model_has_the_highest_number(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.newest_model(MODEL) is None
    (tmp_path / "my.model").write_bytes(b"by hand")
    assert repository.newest_model(MODEL) == tmp_path / "my.model"
    for number in (9, 10, 2):
        (tmp_path / f"{number:04d}.model").write_bytes(b"")
    (tmp_path / "99999.other").write_bytes(b"")
    assert repository.newest_model(MODEL) == tmp_path / "0010.model"


def test_a_shorter_training_supersedes_a_longer_older_one(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.save_model(50, MODEL, b"old")
    repository.save_model(5, MODEL, b"new 5")
    repository.save_model(10, MODEL, b"new 10")
    assert [number for number, _ in repository.models(MODEL)] == [5, 10]
    assert repository.newest_model(MODEL).read_bytes() == b"new 10"  # type: ignore[union-attr]


def test_staged_files_take_their_place_with_the_next_model(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.write("connector.json", b"old")
    repository.stage("connector.json", b"new")
    assert repository.read("connector.json") == b"old"
    repository.save_model(1, MODEL, b"")
    assert repository.read("connector.json") == b"new"
    repository.save_model(2, MODEL, b"")
    assert repository.read("connector.json") == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0001.model",
        "0002.model",
        "connector.json",
    ]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path)
    repository.save_model(1, MODEL, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LibraryError, match=r"cannot write .*0001\.model: No space left on device"):
        repository.save_model(1, MODEL, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["0001.model"]
    assert repository.read("0001.model") == b"old"


def test_what_was_learned_stays_with_the_model_when_the_next_does_not_fit(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.write("connector.json", b"of the old model")
    repository.stage("connector.json", b"of the new model")

    def full(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(LibraryError, match="No space left on device"):
        repository.save_model(2, MODEL, full)
    assert repository.read("connector.json") == b"of the old model"


def test_class_names_may_have_blanks_and_holes(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.class_names() == []
    repository.write("corresp.txt", b"0 black cat\n2 dog\n\nnonsense\n")
    assert repository.class_names() == ["black cat", "1", "dog"]
    repository.stage_class_names(["a b", "c\nd"])
    repository.save_model(1, MODEL, b"")
    assert repository.class_names() == ["a b", "c d"]
