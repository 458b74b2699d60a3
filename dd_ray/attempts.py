"""Attempts at one training: their folder in the repository, and that only the newest one writes.

A training has a folder `.job-<key>` in its repository, made when it is first started and removed
when its end is recorded. In it lie its checkpoints, which nobody else reads, its result, and the
desk of the attempt that writes. An attempt writes each file on its desk and renames it to its
place, and removes a file by renaming it to its desk (see Repository). A new attempt first renames
and empties the desks of the older ones until they are gone: from that moment no rename of an older
attempt can succeed, however long it was asleep before, because one end of it is not there. So
there is no moment between a check and a write.

This needs a file system on which rename and rmdir are atomic for all machines: local disks, NFS,
Lustre, CephFS and the like. Object stores mounted as folders do not give it; there an old attempt
is only stopped by what the state tells it. A repository in a bucket is worked on in a copy of the
attempt's own, see dd_ray/copies.py.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dd_ray import copies
from dd_ray.disk import is_full
from dd_ray.errors import LibraryError, Superseded
from dd_ray.locations import in_bucket
from dd_ray.objects import Objects
from dd_ray.repository import JOB, Repository

logger = logging.getLogger(__name__)

RESULT = "result.json"
"""The final report's body: a job that died after its result was there only has it read."""

_DESK = "desk-"
_NO_DESK = "no-desk"
_SCRATCH = "scratch-"
_GONE = "gone-"


class Attempt:
    """The right to write a repository for one attempt at a training; see this file's beginning."""

    def __init__(self, path: str, key: str, number: int, *, joins: bool = False) -> None:
        """Takes the right from older attempts; raises Superseded when there is a newer one.

        With `joins`, another process of the attempt has taken it.
        """
        self.number = number
        self._copy = _copy(path, key, number, joins=joins) if in_bucket(path) else None
        folder = _folder(path, key) if self._copy is None else self._copy.folder / f"{JOB}{key}"
        desk = folder / f"{_DESK}{number}"
        if self._copy is not None:
            desk.mkdir(parents=True)
        elif not joins:
            _take(path, folder, number)
        self._scratch = folder / f"{_SCRATCH}{number}"
        self._desk = desk
        self.repository = Repository(folder.parent, desk=desk, copy=self._copy)
        self.own = Repository(folder, desk=desk, copy=self._copy)
        """The training's folder, for what nobody else reads."""

    @property
    def shared(self) -> tuple[str, Any]:
        """The training's folder as all machines have it: its path in a file system of pyarrow.

        None stands for the disk.
        """
        if self._copy is None:
            return str(self.own.path), None
        objects = self._copy.objects
        return objects.path(self.own.path.name), objects.files

    def folder(self, name: str) -> Repository:
        """A folder inside the training's own, made when it is missing."""
        path = self.own.path / name
        try:
            path.mkdir(exist_ok=True)
        except OSError as exc:
            self.own.check_desk()
            raise LibraryError(f"cannot write in {path.parent}: {exc.strerror}") from exc
        return Repository(path, desk=self._desk, copy=self._copy)

    @property
    def readable(self) -> Repository:
        """The repository for who may only read it: every change raises Superseded."""
        return Repository(self.repository.path, desk=self.own.path / _NO_DESK)

    @contextlib.contextmanager
    def scratch(self, worker: int = 0) -> Iterator[Path]:
        """An empty folder on the repository's disk for one of its workers, gone afterwards.

        Whoever uses it and finds the disk full need not say so: a LibraryError does.
        """
        folder = self._scratch.with_name(f"{self._scratch.name}-{worker}")
        try:
            folder.mkdir()
        except OSError as exc:
            raise LibraryError(f"cannot write in {folder.parent}: {exc.strerror}") from exc
        try:
            yield folder
        except OSError as exc:
            if is_full(exc):  # of which libraries have words of their own
                said = os.strerror(exc.errno or 0)
                raise LibraryError(f"cannot write in {folder.parent}: {said}") from exc
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def open_job(path: str, key: str) -> None:
    """Makes the folder of a training, unless it is there; raises BadParameter or LibraryError."""
    Repository.open(path, create=False)
    try:
        if in_bucket(path):
            copies.open_job(Objects(path, what="model.repository"), f"{JOB}{key}")
        else:
            _folder(path, key).mkdir(exist_ok=True)
    except OSError as exc:
        raise LibraryError(f"cannot write in {path}: {exc.strerror}") from exc


def close_job(path: str, key: str) -> None:
    """Ends the right of all attempts and removes the training's folder, when it is there."""
    if in_bucket(path):
        try:
            copies.close_job(Objects(path, what="model.repository"), f"{JOB}{key}")
        except OSError as exc:
            raise LibraryError(f"cannot remove {JOB}{key} in {path}: {exc.strerror}") from exc
        return
    folder = _folder(path, key)
    gone = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise LibraryError(f"cannot remove {folder}: {exc.strerror}") from exc
    shutil.rmtree(gone, ignore_errors=True)
    if gone.exists():  # somebody was writing
        for number in _desks(gone):
            _remove_desk(gone, number)
        shutil.rmtree(gone, ignore_errors=True)


def _take(path: str, folder: Path, number: int) -> None:
    """Makes the desk of an attempt and removes those of older ones."""
    try:
        (folder / f"{_DESK}{number}").mkdir()
    except FileNotFoundError as exc:
        raise Superseded(f"the training in {path} has ended") from exc
    except OSError as exc:
        raise LibraryError(f"cannot write in {folder}: {exc.strerror}") from exc
    newest = max(_desks(folder), default=number)
    if newest > number:
        _remove_desk(folder, number)
        raise Superseded(f"attempt {newest} at the training in {path} began after {number}")
    for older in _desks(folder):
        if older < number:
            _remove_desk(folder, older)
    for left in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def _copy(path: str, key: str, number: int, *, joins: bool) -> copies.Copy:
    """The copy of a repository in a bucket, as it is when the attempt has the right."""
    job = f"{JOB}{key}"
    copy = copies.Copy(path, job=job, attempt=number) if joins else copies.begin(path, job, number)
    copy.fetch(jobs=JOB)
    return copy


def _folder(path: str, key: str) -> Path:
    return Repository(path).path / f"{JOB}{key}"


def _desks(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)
    except OSError as exc:
        raise LibraryError(f"cannot read {folder}: {exc.strerror}") from exc
    found = (name.removeprefix(_DESK) for name in names if name.startswith(_DESK))
    return [int(number) for number in found if number.isdecimal()]


def _remove_desk(folder: Path, number: int) -> None:
    """Makes sure that nothing can be renamed from or to a desk any more.

    Renaming it is enough for processes of one machine. One of another machine may still know the
    folder itself, until that is removed.
    """
    gone = folder / f"{_GONE}{uuid.uuid4().hex}"
    with contextlib.suppress(FileNotFoundError):  # another attempt was quicker
        (folder / f"{_DESK}{number}").rename(gone)
        while _emptied(gone):
            try:
                gone.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:  # something was put there in between
                continue


def _emptied(folder: Path) -> bool:
    """Removes all files; False when that cannot be done.

    NFS keeps a file that a process of this machine has open, for which the new name is enough.
    """
    kept = 0
    for path in folder.iterdir():
        if path.name.startswith(".nfs"):
            kept += 1
            continue
        path.unlink(missing_ok=True)
    return not kept
