"""Small file systems, which can be full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_STEP = 4096


class Disk:
    """A folder that is a file system of its own, unless there is a reason why it could not be."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self._reason = reason
        self._filler = path / "filler"

    def fill(self, *, but: int = 0) -> None:
        """Leaves room for so many bytes; skips the test where that would fill another disk."""
        if self._reason:
            pytest.skip(self._reason)
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:  # whoever writes meanwhile
                file.write(bytes(_STEP))
        with self._filler.open("rb+") as file:
            file.truncate(max(file.seek(0, os.SEEK_END) - but, 0))

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, *, megabytes: int) -> Iterator[Disk]:
    """A file system of that size in a new folder, where one can be mounted."""
    path.mkdir()
    options = f"size={megabytes}m,mode=700"
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        yield Disk(path, f"no file system can be mounted here, which root may do: {exc}")
        return
    try:
        yield Disk(path, "")
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
