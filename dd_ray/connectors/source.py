"""What one string of `data` is: a path, a URL, or the content itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dd_ray.errors import BadInput
from dd_ray.settings import settings

_CHUNK = 2**20
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class Content:
    """The string is the data."""

    text: str


@dataclass(frozen=True, slots=True)
class Files:
    """One file, or those of a folder in the order of their names; `name` is what was sent."""

    paths: tuple[Path, ...]
    name: str


def open_source(item: str, *, timeout_s: float, scratch: Path) -> Content | Files:
    """What `item` stands for; a URL is fetched into `scratch`. Raises BadInput."""
    if item.startswith(("http://", "https://")):
        return Files((fetch(item, timeout_s=timeout_s, folder=scratch),), item)
    if item.startswith("file://"):
        raise BadInput(f"{item}: expected a path, or a URL that starts with http:// or https://")
    path = existing_path(item)
    if path is None:
        if _looks_like_path(item):
            raise BadInput(f"cannot open file {item}: no such file or directory")
        return Content(item)
    if path.is_dir():
        return Files(_files_of(path), item)
    return Files((path,), item)


def is_content(item: str) -> bool:
    """Whether `item` is neither a URL nor a path."""
    if item.startswith(("http://", "https://", "file://")):
        return False
    return existing_path(item) is None and not _looks_like_path(item)


def existing_path(item: str) -> Path | None:
    """The path that `item` is, if there is something."""
    if not item or len(item) > _LONGEST_PATH or "\n" in item or "\0" in item:
        return None
    try:
        return Path(item) if os.path.exists(item) else None
    except (OSError, ValueError):
        return None


def _looks_like_path(item: str) -> bool:
    """Whether a client meant a path: an absolute one, or a name with a data file's ending."""
    if "\n" in item or len(item) > _LONGEST_PATH:
        return False
    ending = item.rpartition(".")[2].lower()
    return item.startswith(("/", "./", "../")) or ending in ("csv", "tsv", "svm", "libsvm", "txt")


def _files_of(folder: Path) -> tuple[Path, ...]:
    try:
        found = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as exc:
        raise BadInput(f"cannot read folder {folder}: {exc.strerror}") from exc
    named = [p for p in found if p.suffix.lower() == ".csv"]
    if not (named or found):
        raise BadInput(f"unable to find any files in {folder}")
    return tuple(named or found)


def fetch(url: str, *, timeout_s: float, folder: Path) -> Path:
    """Downloads `url` into `folder`; raises BadInput naming the URL and what went wrong."""
    import httpx

    target = folder / f"download-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    limit = settings().max_download_bytes
    received = 0
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=timeout_s) as answer,
            target.open("wb") as file,
        ):
            if answer.status_code != 200:
                raise BadInput(f"{url}: answered with status {answer.status_code}")
            for chunk in answer.iter_bytes(_CHUNK):
                received += len(chunk)
                if received > limit:
                    raise BadInput(f"{url}: longer than {limit} bytes")
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
        raise BadInput(f"{url}: {exc or type(exc).__name__}") from exc
    except OSError as exc:
        raise BadInput(f"{url}: cannot be stored: {exc.strerror}") from exc
    return target


def sources(data: Sequence[str], *, timeout_s: float, scratch: Path) -> list[Content] | list[Files]:
    """All of `data` as contents or all as files; raises BadInput for a mixture."""
    opened = [open_source(item, timeout_s=timeout_s, scratch=scratch) for item in data]
    contents = [source for source in opened if isinstance(source, Content)]
    files = [source for source in opened if isinstance(source, Files)]
    if contents and files:
        raise BadInput(
            f"data mixes files and content: {files[0].name!r} is a file or URL,"
            f" {contents[0].text[:60]!r} is not"
        )
    return contents or files
