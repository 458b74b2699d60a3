"""Copies of repositories in buckets: a folder of this process whose changes are repeated there.

What is read and written is the copy. It is fetched when a model is loaded and when an attempt at a
training begins, and each change to it is repeated in the bucket before the next is made: the order
of changes is that on a disk, and what the bucket was not told when a process dies never was.

An attempt has an object `.job-<key>/attempts/<number>`. Before each change it looks whether that is
there and is the newest. Between this look and the change a newer attempt may begin: the older one
may still write that one object then, which conditional writes would rule out if pyarrow had them.
It is whole, and of the same training with the same seeds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from dd_ray.errors import ApiError, LibraryError, Superseded
from dd_ray.guard.paths import copies_folder, is_within
from dd_ray.objects import Objects, together
from dd_ray.settings import settings

_ATTEMPTS = "attempts"

_BEGUN_S = 60.0
"""Within this time after a folder was made, its lock is taken."""


class Copy:
    """The copy of what lies under a URL, empty until it is fetched. Its folder goes with it.

    With `job`, the folder of a training, it is changed by the attempt of that number. Where the
    bucket fails, LibraryError is raised.
    """

    def __init__(self, url: str, *, job: str = "", attempt: int = 0) -> None:
        self.objects = Objects(url, what="model.repository")
        self._job = job
        self._attempt = attempt
        self._versions: dict[str, str] = {}

    @cached_property
    def folder(self) -> Path:
        folder, lock = _new_folder()
        weakref.finalize(self, _remove, folder, lock)
        return folder

    def open(self, mark: str, content: bytes, *, create: bool) -> None:
        """Sees that there is a repository that can be written; with `create` there will be one.

        One in which nothing lies yet gets the object `mark`. Raises OSError.
        """
        objects = self.objects
        if objects.is_empty():
            if not create:
                raise FileNotFoundError(errno.ENOENT, "there is nothing under that prefix")
            objects.write(mark, content)
        probe = f".partial-{uuid.uuid4().hex}"
        objects.write(probe, b"")
        objects.drop(probe)

    def fetch(self, *, jobs: str) -> None:
        """Makes the copy what the bucket has now, without the trainings in folders `jobs`*.

        That of its own attempt is fetched.
        """
        with self._reaching("read"):
            wanted = {name for name in self.objects.sizes() if self._is_ours(name, jobs)}
            for gone in self._versions.keys() - wanted:
                self._forget(gone)
            together(self._fetch, wanted)

    def read(self, path: Path) -> bytes | None:
        """What the bucket has for a file of the folder; None when there is nothing."""
        with self._reaching("read"):
            return self.objects.read(self._name(path))

    def put(self, path: Path) -> None:
        """Repeats that a file of the folder is new; raises Superseded."""
        with self._reaching("write"):
            self._check_attempt()
            self.objects.put(self._name(path), path)

    def drop(self, path: Path) -> None:
        """Repeats that a file of the folder is gone; raises Superseded."""
        with self._reaching("write"):
            self._check_attempt()
            self.objects.drop(self._name(path))

    def drop_folder(self, path: Path) -> None:
        """Repeats that a folder of the folder is gone; raises Superseded."""
        with self._reaching("write"):
            self._check_attempt()
            self.objects.drop_all(self._name(path))

    def clear_files(self, endings: Sequence[str], *, but: Sequence[str]) -> None:
        """Removes the objects right under the URL that end so, and do not begin like `but`."""
        with self._reaching("write"):
            for name in self.objects.sizes(deep=False):
                if name.endswith(tuple(endings)) and not name.startswith(tuple(but)):
                    self.objects.drop(name)

    def clear(self) -> None:
        """Removes all objects under the URL; raises LibraryError where other roots lie."""
        if any(is_within(root, self.objects.url) for root in settings().roots):
            raise LibraryError(f"{self.objects.url} is not cleared: it is or holds a root")
        with self._reaching("write"):
            self.objects.drop_all()

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Lets errors name the URL instead of the folder, which nobody outside knows."""
        try:
            yield
        except ApiError as exc:
            if str(self.folder) not in exc.message:
                raise
            raise type(exc)(exc.message.replace(str(self.folder), self.objects.url)) from exc

    @contextlib.contextmanager
    def _reaching(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise LibraryError(f"cannot {verb} {self.objects.url}: {exc.strerror or exc}") from exc

    def _is_ours(self, name: str, jobs: str) -> bool:
        return not name.startswith(jobs) or bool(self._job and name.startswith(f"{self._job}/"))

    def _fetch(self, name: str) -> None:
        known = self._versions.get(name, "")
        try:
            self._versions[name] = self.objects.fetch(name, self.folder / name, known=known)
        except FileNotFoundError:  # it was there when the list was made
            self._forget(name)

    def _forget(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self._versions.pop(name, None)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def _check_attempt(self) -> None:
        if self._job and newest_attempt(self.objects, self._job) != self._attempt:
            raise Superseded(f"another attempt at this training writes {self.objects.url} now")


def open_job(objects: Objects, job: str) -> None:
    """Makes the folder of a training, unless it is there; raises OSError."""
    if newest_attempt(objects, job) is None:
        objects.write(f"{job}/{_ATTEMPTS}/0", b"")


def close_job(objects: Objects, job: str) -> None:
    """Ends the right of all attempts and removes the training's folder; raises OSError."""
    objects.drop_all(f"{job}/{_ATTEMPTS}")
    objects.drop_all(job)


def begin(url: str, job: str, attempt: int) -> Copy:
    """A copy for an attempt, which ends the right of older ones.

    Raises Superseded, LibraryError.
    """
    copy = Copy(url, job=job, attempt=attempt)
    try:
        newest = newest_attempt(copy.objects, job)
        if newest is None:
            raise Superseded(f"the training in {url} has ended")
        if newest < attempt:
            copy.objects.write(f"{job}/{_ATTEMPTS}/{attempt}", b"")
            newest = newest_attempt(copy.objects, job)
        if newest != attempt:
            raise Superseded(f"attempt {newest} at the training in {url} began after {attempt}")
    except OSError as exc:
        raise LibraryError(f"cannot write in {url}: {exc.strerror}") from exc
    return copy


def newest_attempt(objects: Objects, job: str) -> int | None:
    """The newest attempt at a training, 0 before the first; None when the training has ended."""
    names = objects.sizes(f"{job}/{_ATTEMPTS}", deep=False)
    numbers = (name.rpartition("/")[2] for name in names)
    return max((int(number) for number in numbers if number.isdecimal()), default=None)


def _new_folder() -> tuple[Path, int]:
    """A folder for this process alone, and the lock that says that it is in use.

    Those of processes that were killed are removed.
    """
    copies = copies_folder()
    copies.mkdir(mode=0o700, exist_ok=True)
    if copies.stat().st_uid != os.getuid():
        raise LibraryError(f"{copies} belongs to another user: set TMPDIR")
    for left in copies.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _BEGUN_S:
                _remove(left, _locked(left))
    folder = copies / uuid.uuid4().hex
    folder.mkdir(mode=0o700)
    return folder, _locked(folder)


def _locked(folder: Path) -> int:
    """A descriptor that holds a folder's lock; raises OSError when another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
