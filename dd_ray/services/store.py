"""The state's file: an SQLite database with one writer.

Changes that arrive while one is being written are written together, in one transaction, by a
thread of their own; so the event loop never waits for the disk, and many changes cost little more
than one. The log is synced with each transaction (`synchronous=FULL`): what was answered is there
after the power went, not only after the process died.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dd_ray.errors import ApiError, InternalError, Unavailable
from dd_ray.services.schema import MIGRATIONS, Statement

logger = logging.getLogger(__name__)

FILE = "state.db"
_LOCK = "state.lock"
_TOGETHER = 1000
"""Most requests that share a transaction."""

T = TypeVar("T")


class HomeInUse(Exception):
    """Another server keeps its state in this home."""


@dataclass(frozen=True, slots=True)
class _Request:
    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]


class Store:
    """The open file, which nobody else can open meanwhile; without a home all is in memory."""

    def __init__(self, home: Path | None) -> None:
        """Raises HomeInUse, and InternalError when the file cannot be used."""
        self._lock = None if home is None else _locked(home)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        try:
            self._connection = _opened(":memory:" if home is None else str(home / FILE))
        except sqlite3.Error as exc:
            self._unlock()
            raise InternalError(f"cannot use {home}/{FILE}: {exc}") from exc
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(
            target=_serve, args=(self._connection, self._requests), name="store", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._requests.put, None)  # the thread ends with the store

    async def commit(self, *statements: Statement) -> None:
        """Returns when the changes, all or none, are on the disk.

        Raises Unavailable when the disk does not take them, else InternalError.
        """

        def write(connection: sqlite3.Connection) -> None:
            for sql, values in statements:
                connection.execute(sql, values)

        await self.read(write)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` makes of the database, in the thread of the writer."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._requests.put(_Request(work, loop, result))
        return await result

    def close(self) -> None:
        """Writes what is under way and lets others open the file."""
        self._requests.put(None)
        self._thread.join()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


_Requests = queue.SimpleQueue[_Request | None]


def _serve(connection: sqlite3.Connection, requests: _Requests) -> None:
    """The writer: carries out requests until there is a None among them."""
    more = True
    while more:
        taken, more = _waiting(requests)
        if taken:
            _carry_out(connection, taken)
    connection.close()


def _waiting(requests: _Requests) -> tuple[list[_Request], bool]:
    """The next requests, at least one, and whether there may be more after them."""
    taken: list[_Request] = []
    request = requests.get()
    while request is not None:
        taken.append(request)
        if len(taken) == _TOGETHER:
            return taken, True
        try:
            request = requests.get_nowait()
        except queue.Empty:
            return taken, True
    return taken, False


def _carry_out(connection: sqlite3.Connection, requests: Sequence[_Request]) -> None:
    """In one transaction; when that fails each in its own, so that only the bad one fails."""
    try:
        results = _transaction(connection, requests)
    except Exception as exc:
        if len(requests) > 1:
            for request in requests:
                _carry_out(connection, [request])
            return
        logger.exception("the state's file was not changed")
        failure = _failure(exc)
        _tell(requests[0], lambda result: result.set_exception(failure))
        return
    for request, value in zip(requests, results, strict=True):
        _tell(request, partial(_set_result, value))


def _transaction(connection: sqlite3.Connection, requests: Sequence[_Request]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [request.work(connection) for request in requests]
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise
    return results


def _failure(exc: Exception) -> ApiError:
    """What a client is told, which is not where the file is."""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without its details
    kind = Unavailable if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else InternalError
    return kind(f"the server cannot keep its state in DD_RAY_HOME: {exc}")


def _set_result(value: Any, result: asyncio.Future[Any]) -> None:
    result.set_result(value)


def _tell(request: _Request, how: Callable[[asyncio.Future[Any]], None]) -> None:
    def tell() -> None:
        if not request.result.done():  # who asked may have given up
            how(request.result)

    with contextlib.suppress(RuntimeError):  # its loop has ended
        request.loop.call_soon_threadsafe(tell)


def _opened(path: str) -> sqlite3.Connection:
    """The database in its newest version; raises InternalError when it is of a newer dd-ray."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise InternalError(
                f"{path} is of version {version}, written by a newer dd-ray;"
                f" this one knows {len(MIGRATIONS)}"
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _locked(home: Path) -> int:
    """A descriptor that holds the home's lock until it is closed or the process ends."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise HomeInUse(
            f"another dd-ray keeps its state in {home}: give this one a home of its own"
            " (DD_RAY_HOME)"
        ) from exc
    return descriptor
