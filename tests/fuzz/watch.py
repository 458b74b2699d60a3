"""Sees what a process does to a folder, and who connects to it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVENTS = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir"),
        *("os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime"),
        *("shutil.rmtree", "shutil.copyfile", "shutil.move", "os.chdir"),
    }
)

_watched: list[tuple[str, list[str]]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _watched:
        return
    for argument in arguments:
        if isinstance(argument, str | bytes | os.PathLike):
            for folder, seen in _watched:
                try:
                    real = os.path.realpath(os.fsdecode(argument))
                except ValueError:
                    continue
                if f"{real}/".startswith(f"{folder}/"):
                    seen.append(f"{event} {real}")


sys.addaudithook(_note)


@contextmanager
def watching(folder: Path) -> Iterator[list[str]]:
    """What Python code does to files in a folder meanwhile, as a list that grows."""
    seen: list[str] = []
    entry = (os.path.realpath(folder), seen)
    _watched.append(entry)
    try:
        yield seen
    finally:
        _watched.remove(entry)


def contents(folder: Path) -> dict[str, tuple[float, bytes]]:
    """All that is in a folder: when it was changed, and what it holds."""
    return {
        str(path): (path.stat().st_mtime, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *sorted(folder.rglob("*"))]
    }


class Trap:
    """A port that nobody may connect to."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_server((host, 0))
        self._socket.settimeout(0)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    def caught(self) -> bool:
        """Whether somebody has connected since the last question."""
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True

    def close(self) -> None:
        self._socket.close()
