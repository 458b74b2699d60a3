"""Unpacking archives that nobody vouches for: plain files with plain names, so many and no more."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

_CHUNK = 2**16
_LARGEST_READ = 2**21
"""Bytes that are read of an archive at once: a header, or all names of a zip file."""

_XZ_MEMORY = 2**28
_LONGEST_NAME = 1024
_LONGEST_PART = 255

_RATIO = 200
_SMALL = 64 * 2**20
"""Up to this size content may shrink as it likes; what is larger are numbers, which do not."""

_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a way of zip that is not known
    RuntimeError,  # encrypted
    ValueError,
    OverflowError,
)
"""What the readers raise for archives that are none."""

_OF_READERS = (None, errno.EINVAL)
"""So do they with OSErrors: of decompression, and of places before the beginning of the file."""


class BadArchive(Exception):
    """An archive that is not unpacked; the message says why."""


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_files: int) -> list[Path]:
    """Unpacks a zip or tar file into an empty folder; the names of its files, as paths in it.

    Raises BadArchive for links, devices, names that lead out, and more than is allowed.
    """
    into = _Into(folder, packed=archive.stat().st_size, max_bytes=max_bytes, max_files=max_files)
    try:
        with _Bounded(archive) as file:
            (_unzip if file.read(2) == b"PK" else _untar)(file, into)
    except (*_ERRORS, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno not in _OF_READERS:
            raise  # it is about our own disk
        raise BadArchive(f"damaged, or neither zip nor tar: {str(exc)[:200]}") from exc
    return into.names


class _Bounded(io.FileIO):
    """A file of which no large part is read at once, whatever its headers say."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _LARGEST_READ:
            raise BadArchive(f"a header, or a list of names, of more than {_LARGEST_READ} bytes")
        return super().read(size) or b""


class _Into:
    """The folder that files go to, and how much may still come."""

    def __init__(self, folder: Path, *, packed: int, max_bytes: int, max_files: int) -> None:
        self.folder = folder
        self.names: list[Path] = []
        self._max_bytes = min(max_bytes, max(packed * _RATIO, _SMALL))
        self._max_files = max_files
        self._bytes = 0
        self._members = 0

    def count(self, size: int, bytes_before: int) -> int:
        """Bytes with `size` more; raises BadArchive when they are too many."""
        total = bytes_before + size
        if total > self._max_bytes:
            raise BadArchive(
                f"its files have more than {self._max_bytes} bytes (DD_RAY_MAX_ARCHIVE_BYTES, or"
                f" {_RATIO} times its own size)"
            )
        return total

    def member(self) -> None:
        self._members += 1
        if self._members > self._max_files:
            raise BadArchive(f"more than {self._max_files} files (DD_RAY_MAX_ARCHIVE_FILES)")

    def write(self, name: str, source: IO[bytes]) -> None:
        plain = plain_name(name)
        target = self.folder / plain
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while chunk := source.read(_CHUNK):
                    self._bytes = self.count(len(chunk), self._bytes)
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError) as exc:
            raise BadArchive(f"{name[:200]!r} is there twice") from exc
        self.names.append(plain)


def plain_name(name: str) -> Path:
    """The name of a file in an archive as a path inside a folder; raises BadArchive.

    >>> plain_name("./model//corresp.txt")
    PosixPath('model/corresp.txt')
    """
    parts = PurePosixPath(name).parts
    odd = not name.isprintable() or "\\" in name or len(os.fsencode(name)) > _LONGEST_NAME
    if odd or not parts or name.startswith("/") or ".." in parts:
        raise BadArchive(f"the name {name[:200]!r}, expected one inside the archive")
    if any(len(os.fsencode(part)) > _LONGEST_PART for part in parts):
        raise BadArchive(f"the name {name[:200]!r} is too long")
    return Path(*parts)


def _unzip(file: _Bounded, into: _Into) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            into.member()
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadArchive(f"{member.filename[:200]!r} is a link or a device")
            if not member.is_dir():
                with archive.open(member) as source:
                    into.write(member.filename, source)


def _untar(file: _Bounded, into: _Into) -> None:
    with tempfile.TemporaryFile(dir=into.folder) as plain:
        size = 0
        for chunk in _decompressed(file):
            size = into.count(len(chunk), size)
            plain.write(chunk)
        plain.seek(0)
        with (
            _Bounded(os.dup(plain.fileno())) as content,
            tarfile.open(fileobj=content, mode="r:") as archive,
        ):
            for member in archive:
                into.member()
                if not (member.isreg() or member.isdir()):
                    raise BadArchive(f"{member.name[:200]!r} is a link or a device")
                tarfile.data_filter(member, str(into.folder))
                source = archive.extractfile(member) if member.isreg() else None
                if source is not None:
                    into.write(member.name, source)


def _decompressed(file: _Bounded) -> Iterator[bytes]:
    """The content of a tar file in parts, out of its compression if it has one."""
    file.seek(0)
    magic = file.read(6)
    file.seek(0)
    if magic == b"\xfd7zXZ\0":
        yield from _xz(file)
        return
    source: io.RawIOBase | io.BufferedIOBase = file
    if magic.startswith(b"\x1f\x8b"):
        source = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        source = bz2.BZ2File(file)
    while chunk := source.read(_CHUNK):
        yield chunk


def _xz(file: _Bounded) -> Iterator[bytes]:
    """With a bound on the memory that the stream asks for, which LZMAFile does not have."""
    stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    while not stream.eof:
        packed = file.read(_CHUNK) if stream.needs_input else b""
        if stream.needs_input and not packed:
            raise EOFError("it ends too early")
        yield stream.decompress(packed, _CHUNK)
