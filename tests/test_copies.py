"""Repositories in buckets: their copies, and attempts of which only the newest may write."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dd_ray.attempts import Attempt, close_job, open_job
from dd_ray.copies import Copy
from dd_ray.errors import BadParameter, LibraryError, Superseded
from dd_ray.guard.paths import allowed, copies_folder
from dd_ray.repository import ModelFiles, Repository
from tests.buckets import Bucket
from tests.conftest import SetSettings

MODEL = ModelFiles(suffix=".model", digits=4)


@pytest.fixture
def url(bucket: Bucket) -> str:
    """The URL of an empty repository."""
    Repository.open(f"{bucket.url}/m", create=True)
    return f"{bucket.url}/m"


def attempt(url: str, number: int) -> Attempt:
    open_job(url, "k")
    return Attempt(url, "k", number)


def content(bucket: Bucket, under: str = "m") -> dict[str, bytes]:
    return {name.removeprefix(f"{under}/"): bucket.get(name) for name in bucket.names(under)}


def test_it_is_made_when_asked_and_else_must_be_there(bucket: Bucket) -> None:
    with pytest.raises(BadParameter, match=r"does not exist .*nothing under that prefix"):
        Repository.open(f"{bucket.url}/m", create=False)
    Repository.open(f"{bucket.url}/m", create=True)
    Repository.open(f"{bucket.url}/m", create=False)
    assert bucket.names() == ["m/.dd-ray"]


def test_changes_are_repeated_and_fetched_elsewhere(bucket: Bucket, url: str) -> None:
    here, there = Repository(url), Repository(url)
    here.stage("connector.json", b"learned")
    assert content(bucket).keys() == {".dd-ray"}
    here.save_model(10, MODEL, b"ten")
    there.fetch()
    assert (there.path / "0010.model").read_bytes() == b"ten"
    assert there.read("connector.json") == b"learned"
    here.save_model(2, MODEL, b"two")
    assert there.latest("0002.model") == b"two"
    there.fetch()
    assert [number for number, _ in there.models(MODEL)] == [2]
    assert content(bucket).keys() == {".dd-ray", "0002.model", "connector.json"}


def test_a_copy_is_removed_with_what_holds_it(url: str) -> None:
    repository = Repository(url)
    folder = repository.path
    repository.write("x", b"")
    assert folder.is_dir()
    del repository
    gc.collect()
    assert not folder.exists()


def test_copies_of_processes_that_were_killed_are_removed(url: str) -> None:
    program = """
import os, sys, time
from dd_ray.copies import Copy
copy = Copy(sys.argv[1])
os.utime(copy.folder, (0, 0))
print(copy.folder, flush=True)
time.sleep(100)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    Copy(url).folder  # noqa: B018
    assert left.is_dir()
    process.kill()
    process.wait()
    process.stdout.close()
    Copy(url).folder  # noqa: B018
    assert not left.exists()


def test_copies_are_for_the_server_only(url: str, set_settings: SetSettings) -> None:
    repository = Repository(url)
    for roots in (url, f"/:{url}"):
        set_settings(roots=roots)
        assert allowed(repository.path / "x")
        assert not allowed(copies_folder())
        assert not allowed(copies_folder() / "none" / "x")


def test_copies_are_for_their_user_only(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = Copy(url), Copy(url)
    for folder in (copies_folder(), first.folder):
        assert folder.stat().st_mode & 0o777 == 0o700
    for copy in (first, second):
        assert re.fullmatch("[0-9a-f]{32}", copy.folder.name)
    assert first.folder != second.folder


def test_a_folder_that_another_user_made_for_copies_is_not_used(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(LibraryError, match="belongs to another user"):
        Copy(url).folder  # noqa: B018


OLD_WRITES: list[Callable[[Attempt], object]] = [
    lambda old: old.repository.write("0002.model", b"old"),
    lambda old: old.repository.save_model(2, MODEL, b"old"),
    lambda old: old.repository.drop("0001.model"),
    lambda old: old.own.write("checkpoint.json", b"old"),
    lambda old: old.own.drop_folder("at-1"),
    lambda old: old.folder("at-1").write("x", b"old"),
]


@pytest.mark.parametrize("write", OLD_WRITES)
@pytest.mark.parametrize("ended", [False, True])
def test_an_older_attempt_changes_nothing(
    bucket: Bucket, url: str, write: Callable[[Attempt], object], ended: bool
) -> None:
    old = attempt(url, 1)
    old.repository.save_model(1, MODEL, b"one")
    old.folder("at-1").write("x", b"one")
    new = attempt(url, 2)
    new.own.write("checkpoint.json", b"new")
    if ended:
        close_job(url, "k")
    before = content(bucket)
    with pytest.raises(Superseded):
        write(old)
    assert content(bucket) == before


def test_an_attempt_finds_what_the_one_before_has_left(bucket: Bucket, url: str) -> None:
    old = attempt(url, 1)
    old.repository.save_model(1, MODEL, b"one")
    old.repository.stage("connector.json", b"never saved")
    old.own.write("checkpoint.json", b"{}")
    old.folder("at-1").write("model", b"between")
    new = attempt(url, 2)
    assert new.repository.models(MODEL)[0][1].read_bytes() == b"one"
    assert new.own.read("checkpoint.json") == b"{}"
    assert new.folder("at-1").read("model") == b"between"
    new.repository.save_model(3, MODEL, b"three")
    assert new.repository.read("connector.json") is None
    close_job(url, "k")
    close_job(url, "k")
    assert content(bucket).keys() == {".dd-ray", "0001.model", "0003.model"}


def test_other_processes_of_an_attempt_write_as_it_does(url: str) -> None:
    taken = attempt(url, 1)
    joined = Attempt(url, "k", 1, joins=True)
    joined.own.write("result.json", b"{}")
    assert taken.own.latest("result.json") == b"{}"
    attempt(url, 2)
    with pytest.raises(Superseded):
        joined.own.write("result.json", b"old")
    with pytest.raises(Superseded):
        joined.readable.write("x", b"")


def test_an_older_attempt_that_wakes_up_late_does_not_begin(url: str) -> None:
    new = attempt(url, 2)
    with pytest.raises(Superseded, match=r"attempt 2 .* began after 1"):
        Attempt(url, "k", 1)
    new.repository.write("0001.model", b"")
    close_job(url, "k")
    with pytest.raises(Superseded, match="has ended"):
        Attempt(url, "k", 3)


def test_trainings_of_one_repository_do_not_end_each_other(bucket: Bucket, url: str) -> None:
    first = attempt(url, 1)
    open_job(url, "other")
    Attempt(url, "other", 5).own.write("x", b"")
    first.repository.write("0001.model", b"")
    assert not list(Attempt(url, "k", 2).repository.path.glob(".job-other"))
    close_job(url, "other")
    assert ".job-k/attempts/2" in content(bucket)


def test_only_our_own_is_cleared(bucket: Bucket, url: str, set_settings: SetSettings) -> None:
    Repository(url).save_model(1, MODEL, b"")
    bucket.put("m/notes.txt", "")
    Repository(url).clear_library([".model"])
    assert content(bucket).keys() == {".dd-ray", "notes.txt"}
    set_settings(roots=url)
    with pytest.raises(LibraryError, match="is or holds a root"):
        Repository(url).clear()
    set_settings(roots=bucket.url)
    bucket.put("mine/thesis/1.txt", "")
    theirs = Repository.open(f"{bucket.url}/mine", create=True)
    for clear in (theirs.clear, theirs.remove):
        with pytest.raises(LibraryError, match="there were files in it before dd-ray used it"):
            clear()
    Repository(url).clear()
    assert bucket.names() == ["mine/thesis/1.txt"]


def test_models_are_copied_between_folders_and_buckets(
    bucket: Bucket, url: str, tmp_path: Path
) -> None:
    model = Repository(url).save_model(1, MODEL, b"one").name
    source = Repository(url)
    source.fetch()
    for target in (f"{bucket.url}/copy", str(tmp_path / "copy"), f"file://{tmp_path}/other"):
        source.copy_to(target, model)
    assert bucket.get("copy/0001.model") == b"one"
    for name in ("copy", "other"):
        assert (tmp_path / name / "0001.model").read_bytes() == b"one"


def test_errors_name_the_url(url: str) -> None:
    repository = Repository(url)
    with pytest.raises(LibraryError, match=r"^no file s3://b-\w+/m/x$"), repository.named():
        raise LibraryError(f"no file {repository.path / 'x'}")
