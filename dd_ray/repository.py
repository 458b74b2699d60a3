"""A model repository: the only code that knows its file names."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dd_ray.copies import Copy
from dd_ray.errors import BadParameter, LibraryError, Superseded
from dd_ray.guard import folders
from dd_ray.guard.paths import allowed, check
from dd_ray.locations import as_path, in_bucket

logger = logging.getLogger(__name__)

Save = Callable[[BinaryIO], object]
"""Writes a file's content into an open file."""

CLASS_NAMES = "corresp.txt"
CONNECTOR_STATE = "connector.json"
CREATION_CALL = "config.json"
LAST_CALL = "model.json"
METRICS = "metrics.json"
FEATURE_MAP = "model.fmap"
NETWORK = "network.json"
BEST_MODEL = "best_model.txt"
OWNER = ".dd-ray"
"""Lies in folders that dd-ray made or found empty: it may delete what is in them."""
_OWNED = b"This folder is dd-ray's, which may empty it.\n"
PARTIAL = ".partial-"
_STAGED = ".staged-"
JOB = ".job-"
"""Begins the name of a training's own folder; see dd_ray/attempts.py."""
_LARGEST_TEXT = 2**28
"""Bytes of a file that is read as a whole: states, names and reports, not weights."""
_LONGEST_NAME = 1000
"""Characters of a class name."""
_DIGITS = 7
"""Of a class number: files come with archives that nobody vouches for."""
OWN_NAMES = (OWNER, PARTIAL, _STAGED, JOB)
"""Beginnings of names that nothing else in a repository may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """How an mllib names the file of what it has after a number of iterations.

    >>> files = ModelFiles(prefix="checkpoint-", suffix=".npt")
    >>> files.name(20), files.number("checkpoint-20.npt"), files.number("solver-20.pt")
    ('checkpoint-20.npt', 20, None)
    """

    suffix: str
    prefix: str = ""
    digits: int = 1

    def name(self, number: int) -> str:
        return f"{self.prefix}{number:0{self.digits}d}{self.suffix}"

    def number(self, name: str) -> int | None:
        """The number in a file's name; None when it is not named so."""
        match = re.fullmatch(rf"{re.escape(self.prefix)}(\d+){re.escape(self.suffix)}", name)
        return int(match[1]) if match else None


class Repository:
    """A folder with the files of one model. Holds nothing but its path.

    One in a bucket is a copy of it, empty until `fetch`, whose changes are repeated in the bucket;
    see dd_ray/copies.py.

    Every file is written under another name, synced and renamed, so that a reader finds the old
    file or the new one, and a full disk leaves the old one.

    `desk` is a folder on the same disk where files are written before they are renamed, and to
    which they are moved to be removed. Whoever removes the desk ends the right to change the
    repository: every change raises Superseded from then on; see dd_ray/attempts.py.
    """

    def __init__(
        self, path: str | Path, *, desk: Path | None = None, copy: Copy | None = None
    ) -> None:
        """`path` is a folder or a URL; or it lies in the folder of `copy`."""
        if isinstance(path, str) and in_bucket(path):
            copy = Copy(path)
            path = copy.folder
        self._path = Path(as_path(path)) if isinstance(path, str) else path
        self._desk = desk
        self._copy = copy

    @property
    def path(self) -> Path:
        """The folder; raises Forbidden when it leads out of the roots by now."""
        check(self._path, "model.repository")
        return self._path

    @classmethod
    def open(cls, path: str, *, create: bool) -> Repository:
        """A repository that exists and can be written; raises BadParameter naming the path."""
        if not path:
            raise BadParameter("model.repository is empty, expected the path of a folder")
        if "\0" in path:
            raise BadParameter("model.repository holds a NUL character")
        repository = cls(path)
        try:
            if repository._copy is not None:
                repository._copy.open(OWNER, _OWNED, create=create)
                return repository
            if repository.path.exists() and not repository.path.is_dir():
                raise BadParameter(f"file exists with same name as repository {path}")
            if create:
                repository.path.mkdir(parents=True, exist_ok=True, mode=0o775)
            repository._check_writable()
            if all(name.startswith(OWN_NAMES) for name in os.listdir(repository.path)):
                repository.write(OWNER, _OWNED)
        except OSError as exc:
            raise BadParameter(
                f"destination model directory {path} is not writable or does not exist"
                f" ({exc.strerror}); model.create_repository creates it"
            ) from exc
        return repository

    @property
    def is_ours(self) -> bool:
        """Whether dd-ray made the folder or found it empty.

        A client may name any folder as a repository: what somebody else keeps there is not for a
        client to delete or to replace.
        """
        if self._copy is not None:
            return self.latest(OWNER) is not None
        owner = self.path / OWNER
        return owner.is_file() and not owner.is_symlink()

    def _check_writable(self) -> None:
        probe = self.path / f"{PARTIAL}{uuid.uuid4().hex}"
        probe.touch(exist_ok=False)
        probe.unlink()

    # -- in a bucket ----------------------------------------------------------------------------

    def fetch(self) -> None:
        """Takes over what the bucket has by now, to be read; a folder is what it is."""
        if self._copy is not None:
            self._copy.fetch(jobs=JOB)

    def repeat(self) -> None:
        """Tells the bucket of all files, after changes that were not made by `write`."""
        if self._copy is not None:
            for path in sorted(self.path.rglob("*")):
                if path.is_file() and not path.name.startswith(OWN_NAMES):
                    self._copy.put(path)

    def named(self) -> contextlib.AbstractContextManager[None]:
        """Lets errors name what the call named, where that is not the folder."""
        return contextlib.nullcontext() if self._copy is None else self._copy.named()

    # -- models ---------------------------------------------------------------------------------

    def models(self, files: ModelFiles) -> list[tuple[int, Path]]:
        """Model files with their numbers, the smallest number first."""
        numbered = ((files.number(path.name), path) for path in self._files())
        return sorted((number, path) for number, path in numbered if number is not None)

    def newest_model(self, files: ModelFiles) -> Path | None:
        """The model with the highest number; without numbered ones, the last in name order."""
        numbered = self.models(files)
        if numbered:
            return numbered[-1][1]
        named = sorted(path for path in self._files() if path.name.endswith(files.suffix))
        return named[-1] if named else None

    def model_bytes(self, suffixes: Sequence[str], weights: str = "") -> int:
        """Size of the largest model file, by the end of its name, or of `weights`; 0 without."""
        found = [path for path in self._files() if path.name.endswith(tuple(suffixes))]
        given = self.path / weights
        if weights and allowed(given) and given.is_file():
            found.append(given)
        return max((path.stat().st_size for path in found), default=0)

    def save_model(self, number: int, files: ModelFiles, content: bytes | bytearray | Save) -> Path:
        """Saves the model after `number` iterations and drops those of a longer, older training.

        The highest number is the newest model, so a training that ends with fewer iterations than
        an earlier one must not leave the earlier one's files above its own.
        """
        path = self._write(files.name(number), content, before=self._promote_staged)
        for other, stale in self.models(files):
            if other > number:
                self.drop(stale.name)
        return path

    def drop_model(self, number: int, files: ModelFiles) -> None:
        """Removes the model after `number` iterations, if it is there."""
        self.drop(files.name(number))

    # -- what lies beside the model -------------------------------------------------------------

    def class_names(self) -> list[str]:
        """Names by class index from `corresp.txt`; empty when there is no such file."""
        content = self.read(CLASS_NAMES)
        if content is None:
            return []
        names: dict[int, str] = {}
        for line in content.decode("utf-8", "replace").splitlines():
            index, _, name = line.partition(" ")
            digits = index.strip()
            if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
                names[int(digits)] = name[:_LONGEST_NAME]
        return [names.get(i, str(i)) for i in range(max(names) + 1)] if names else []

    def stage_class_names(self, names: Sequence[str]) -> None:
        """Stages `corresp.txt`; a line break in a name becomes a blank."""
        lines = (f"{i} {' '.join(name.splitlines())}\n" for i, name in enumerate(names))
        self.stage(CLASS_NAMES, "".join(lines).encode())

    def stage_feature_map(self, names: Sequence[str]) -> None:
        """Stages `model.fmap`: index, name and kind (quantitative) of each feature."""
        lines = (f"{i}\t{name.replace(chr(9), ' ')}\tq\n" for i, name in enumerate(names))
        self.stage(FEATURE_MAP, "".join(lines).encode())

    # -- files ----------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """The content of a file, None when there is none."""
        path = self.path / name
        check(path, "a file of the repository")
        try:
            size = path.stat().st_size
            if size > _LARGEST_TEXT:
                raise LibraryError(f"{path} has {size} bytes, expected at most {_LARGEST_TEXT}")
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def latest(self, name: str) -> bytes | None:
        """The content of a small file as whoever wrote it last left it, on whichever machine."""
        return self.read(name) if self._copy is None else self._copy.read(self._path / name)

    def write(self, name: str, content: bytes | bytearray | Save) -> Path:
        """Writes a whole file or leaves what was there; raises LibraryError when it cannot.

        `content` may be a function that writes into the open file.
        """
        return self._write(name, content, before=lambda: None)

    def _write(
        self, name: str, content: bytes | bytearray | Save, *, before: Callable[[], None]
    ) -> Path:
        """Writes a file, calling `before` when all of it is on the disk, under another name."""
        target = self.path / name
        partial = (self._desk or self.path) / f"{PARTIAL}{uuid.uuid4().hex}"
        try:
            with partial.open("wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            before()
            partial.replace(target)
            _sync_folder(self.path)
            if self._copy is not None:
                self._copy.put(target)
        except OSError as exc:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            self.check_desk()
            raise LibraryError(f"cannot write {target}: {exc.strerror or exc}") from exc
        return target

    def drop(self, name: str) -> None:
        """Removes a file, if it is there."""
        if self._desk is None:
            (self.path / name).unlink(missing_ok=True)
        else:
            removed = self._desk / f"{PARTIAL}{uuid.uuid4().hex}"
            try:
                (self.path / name).rename(removed)
            except FileNotFoundError:
                self.check_desk()
            else:
                removed.unlink(missing_ok=True)
        if self._copy is not None:
            self._copy.drop(self.path / name)

    def drop_folder(self, name: str) -> None:
        """Removes a folder with all that is in it, if it is there."""
        shutil.rmtree(self.path / name, ignore_errors=True)
        if self._copy is not None:
            self._copy.drop_folder(self.path / name)

    def check_desk(self) -> None:
        """Raises Superseded when this repository may not be changed any more."""
        if self._desk is not None and not self._desk.is_dir():
            raise Superseded(f"another attempt at this training writes {self.path} now")

    def stage(self, name: str, content: bytes) -> None:
        """Writes a file that takes its place when the next model is saved.

        What a connector learned belongs to one model: until the training has one to save, the old
        model keeps what was learned with it.
        """
        Repository(self._desk or self.path, desk=self._desk).write(f"{_STAGED}{name}", content)

    def _promote_staged(self) -> None:
        for path in (self._desk or self.path).glob(f"{_STAGED}*"):
            target = self.path / path.name.removeprefix(_STAGED)
            try:
                path.replace(target)
            except FileNotFoundError:
                self.check_desk()
                raise
            if self._copy is not None:
                self._copy.put(target)

    def copy_to(self, target: str, model: str) -> None:
        """Copies a model file and what it needs to another folder, made when missing."""
        check(target, "parameters.output.target_repository")
        other = Repository.open(target, create=True)
        beside = (CLASS_NAMES, CONNECTOR_STATE, FEATURE_MAP, CREATION_CALL, NETWORK, BEST_MODEL)
        for name in (model, *beside):
            self.check_desk()
            source = self.path / name
            if source.is_file():
                other.write(name, partial(_copy, source))

    # -- clearing -------------------------------------------------------------------------------

    def clear_library(self, suffixes: Sequence[str]) -> None:
        """Removes the model files of an mllib, by the end of their names."""
        if self._copy is not None:
            self._copy.clear_files(suffixes, but=OWN_NAMES)
            return
        with folders.opened(self.path) as descriptor:
            for path in self._files():
                if path.name.endswith(tuple(suffixes)):
                    folders.delete(path.name, descriptor)

    def clear(self) -> None:
        """Removes all that is inside the folder; links are removed, never followed."""
        self._check_ours()
        if self._copy is not None:
            self._copy.clear()
        else:
            folders.empty(self.path)

    def remove(self) -> None:
        """Removes the folder itself."""
        self._check_ours()
        if self._copy is not None:
            self._copy.clear()  # an empty folder is nothing in a bucket
        else:
            folders.remove(self.path)

    def _check_ours(self) -> None:
        if self.path.is_dir() and not self.is_ours:
            raise LibraryError(
                f"{self.path} is not cleared: there were files in it before dd-ray used it;"
                f" clear=lib removes the model files, a file {OWNER} in it allows the rest"
            )

    def _files(self) -> list[Path]:
        try:
            return [
                path
                for path in self.path.iterdir()
                if path.is_file()
                and not path.name.startswith(OWN_NAMES)
                and (not path.is_symlink() or allowed(path))
            ]
        except OSError as exc:
            raise LibraryError(f"cannot read {self.path}: {exc.strerror}") from exc


def _copy(source: Path, target: BinaryIO) -> None:
    with source.open("rb") as file:
        shutil.copyfileobj(file, target)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
