"""Emptying folders: never through a link, never out of the roots, never one that a system needs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dd_ray.errors import LibraryError
from dd_ray.guard.paths import check, is_within
from dd_ray.locations import in_bucket
from dd_ray.settings import settings

_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")
"""Trees in which nothing is deleted."""


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder whose files may be deleted; raises Forbidden or LibraryError.

    It is opened from the top along its real path, following no link: what was checked is what is
    opened, whatever somebody does to the path meanwhile.
    """
    check(folder, "clear")
    real = Path(os.path.realpath(folder))
    _refuse_needed(real)
    descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in real.parts[1:]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            below = os.open(name, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    except OSError as exc:
        raise LibraryError(
            f"failed opening directory {folder} for deleting files within: {exc.strerror}"
        ) from exc
    finally:
        os.close(descriptor)


def empty(folder: Path) -> None:
    """Deletes all that is in a folder; links are deleted, not what they lead to."""
    with opened(folder) as descriptor:
        _refuse_mounts(descriptor, folder)
        for name in os.listdir(descriptor):
            delete(name, descriptor)


def delete(name: str, descriptor: int) -> None:
    """Deletes what has that name in an opened folder; raises LibraryError."""
    try:
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            shutil.rmtree(name, dir_fd=descriptor)
        else:
            os.unlink(name, dir_fd=descriptor)
    except FileNotFoundError:
        pass  # somebody else has
    except OSError as exc:
        raise LibraryError(f"unable to remove {name}: {exc.strerror}") from exc


def remove(folder: Path) -> None:
    """Deletes a folder and all that is in it; raises Forbidden or LibraryError."""
    empty(folder)
    real = Path(os.path.realpath(folder))
    parent = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.rmdir(real.name, dir_fd=parent)
    except OSError as exc:
        raise LibraryError(f"unable to remove dir {folder}: {exc.strerror}") from exc
    finally:
        os.close(parent)


def why_needed(real: Path) -> str | None:
    """Why a folder, by its real path, is never emptied; None when nothing speaks against it."""
    if str(real) == "/" or any(is_within(str(real), f"/{name}") for name in _SYSTEM):
        return "it belongs to the system"
    if any(is_within(str(real), prefix) for prefix in (sys.prefix, sys.base_prefix)):
        return "it belongs to Python"
    kept: list[tuple[str, str | Path]] = [
        ("the folder of all temporary files", tempfile.gettempdir()),
        ("DD_RAY_HOME", settings().home),
        *(("a root of DD_RAY_ROOTS", root) for root in settings().roots if not in_bucket(root)),
        *(("a home directory", entry.pw_dir) for entry in pwd.getpwall()),
        ("a home directory", Path.home()),
    ]
    for what, path in kept:
        if is_within(os.path.realpath(path), str(real)):
            return f"it is or holds {what}"
    return "it is a mount point" if os.path.ismount(real) else None


def _refuse_needed(real: Path) -> None:
    reason = why_needed(real)
    if reason is not None:
        raise LibraryError(f"{real} is not cleared: {reason}")


def _refuse_mounts(descriptor: int, folder: Path) -> None:
    """Another file system that is mounted somewhere inside is nobody's model."""
    device = os.fstat(descriptor).st_dev
    for _, _, _, below in os.fwalk(".", dir_fd=descriptor):
        if os.fstat(below).st_dev != device:
            raise LibraryError(f"{folder} is not cleared: a file system is mounted in it")
