"""A model repository: the only code that knows its file names."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from dd_ray.errors import BadParameter, LibraryError

logger = logging.getLogger(__name__)

CLASS_NAMES = "corresp.txt"
CONNECTOR_STATE = "connector.json"
CREATION_CALL = "config.json"
LAST_CALL = "model.json"
METRICS = "metrics.json"
FEATURE_MAP = "model.fmap"
_SCRATCH = ".scratch-"
_PARTIAL = ".partial-"
_STAGED = ".staged-"
_NUMBERED = re.compile(r"(\d+)\.[^.]+")


class Repository:
    """A folder with the files of one model. Holds nothing but its path.

    Every file is written under another name, synced and renamed, so that a reader finds the old
    file or the new one, and a full disk leaves the old one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: str, *, create: bool) -> Repository:
        """A repository that exists and can be written; raises BadParameter naming the path."""
        if not path:
            raise BadParameter("model.repository is empty, expected the path of a folder")
        if "\0" in path:
            raise BadParameter("model.repository holds a NUL character")
        repository = cls(path)
        try:
            if repository.path.exists() and not repository.path.is_dir():
                raise BadParameter(f"file exists with same name as repository {path}")
            if create:
                repository.path.mkdir(parents=True, exist_ok=True, mode=0o775)
            repository._check_writable()
        except OSError as exc:
            raise BadParameter(
                f"destination model directory {path} is not writable or does not exist"
                f" ({exc.strerror}); model.create_repository creates it"
            ) from exc
        return repository

    def _check_writable(self) -> None:
        probe = self.path / f"{_PARTIAL}{uuid.uuid4().hex}"
        probe.touch(exist_ok=False)
        probe.unlink()

    # -- models ---------------------------------------------------------------------------------

    def models(self, suffix: str) -> list[tuple[int, Path]]:
        """Numbered model files `<number><suffix>`, the smallest number first."""
        found = []
        for path in self._files():
            match = _NUMBERED.fullmatch(path.name)
            if match and path.name.endswith(suffix):
                found.append((int(match.group(1)), path))
        return sorted(found)

    def newest_model(self, suffix: str) -> Path | None:
        """The model with the highest number; without numbered ones, the last in name order."""
        numbered = self.models(suffix)
        if numbered:
            return numbered[-1][1]
        named = sorted(path for path in self._files() if path.name.endswith(suffix))
        return named[-1] if named else None

    def save_model(self, number: int, suffix: str, content: bytes | bytearray) -> Path:
        """Saves the model after `number` iterations and drops those of a longer, older training.

        The highest number is the newest model, so a training that ends with fewer iterations than
        an earlier one must not leave the earlier one's files above its own.
        """
        self._promote_staged()
        path = self.write(f"{number:04d}{suffix}", content)
        for other, stale in self.models(suffix):
            if other > number:
                stale.unlink(missing_ok=True)
        return path

    # -- what lies beside the model -------------------------------------------------------------

    def class_names(self) -> list[str]:
        """Names by class index from `corresp.txt`; empty when there is no such file."""
        content = self.read(CLASS_NAMES)
        if content is None:
            return []
        names: dict[int, str] = {}
        for line in content.decode("utf-8", "replace").splitlines():
            index, _, name = line.partition(" ")
            if index.strip().isdigit():
                names[int(index)] = name
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
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes | bytearray) -> Path:
        """Writes a whole file or leaves what was there; raises LibraryError when it cannot."""
        target = self.path / name
        partial = self.path / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
            _sync_folder(self.path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise LibraryError(f"cannot write {target}: {exc.strerror}") from exc
        return target

    def stage(self, name: str, content: bytes) -> None:
        """Writes a file that takes its place when the next model is saved.

        What a connector learned belongs to one model: until the training has one to save, the old
        model keeps what was learned with it.
        """
        self.write(f"{_STAGED}{name}", content)

    def drop_staged(self) -> None:
        """Forgets what was staged by a training that never saved."""
        for path in self.path.glob(f"{_STAGED}*"):
            path.unlink(missing_ok=True)

    def _promote_staged(self) -> None:
        for path in self.path.glob(f"{_STAGED}*"):
            path.replace(self.path / path.name.removeprefix(_STAGED))

    def copy_to(self, target: str, *, model_suffix: str) -> None:
        """Copies the newest model and what it needs to another folder, made when missing."""
        other = Repository.open(target, create=True)
        newest = self.newest_model(model_suffix)
        names = [CLASS_NAMES, CONNECTOR_STATE, FEATURE_MAP, CREATION_CALL]
        for name in ([newest.name] if newest else []) + names:
            content = self.read(name)
            if content is not None:
                other.write(name, content)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the repository's disk, gone afterwards.

        What a killed training left behind is removed first.
        """
        for old in self.path.glob(f"{_SCRATCH}*"):
            shutil.rmtree(old, ignore_errors=True)
        try:
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.path))
        except OSError as exc:
            raise LibraryError(f"cannot write in {self.path}: {exc.strerror}") from exc
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- clearing -------------------------------------------------------------------------------

    def clear_library(self, suffixes: Sequence[str]) -> None:
        """Removes the model files of an mllib, by the end of their names."""
        for path in self._files():
            if path.name.endswith(tuple(suffixes)):
                _remove(path)

    def clear(self) -> None:
        """Removes all that is inside the folder; links are removed, never followed."""
        if not self.path.is_dir():
            raise LibraryError(f"failed opening directory {self.path} for deleting files within")
        for path in self.path.iterdir():
            _remove(path)

    def remove(self) -> None:
        """Removes the folder itself."""
        self.clear()
        try:
            self.path.rmdir()
        except OSError as exc:
            raise LibraryError(f"unable to remove dir {self.path}: {exc.strerror}") from exc

    def _files(self) -> list[Path]:
        try:
            return [
                path
                for path in self.path.iterdir()
                if path.is_file() and not path.name.startswith((_PARTIAL, _STAGED))
            ]
        except OSError as exc:
            raise LibraryError(f"cannot read {self.path}: {exc.strerror}") from exc


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as exc:
        raise LibraryError(f"unable to remove {path}: {exc.strerror}") from exc


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
