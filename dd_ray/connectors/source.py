"""What one string of `data` is: a path, a URL, or the content itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dd_ray import objects
from dd_ray.errors import BadInput
from dd_ray.guard.paths import allowed, check
from dd_ray.locations import as_path, in_bucket
from dd_ray.settings import settings

LONGEST_PATH = 4096


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
    """What `item` stands for; a URL is fetched into `scratch`. Raises BadInput or Forbidden."""
    if is_url(item):
        path = fetch(item, timeout_s=timeout_s, folder=scratch)
        return Files(_files_of(path) if path.is_dir() else (path,), item)
    item = as_path(item)
    found = existing_path(item)
    if found is None:
        if _looks_like_path(item):
            check(item, "data")
            raise BadInput(f"cannot open file {item}: no such file or directory")
        return Content(item)
    if found.is_dir():
        return Files(_files_of(found), item)
    return Files((found,), item)


def is_url(item: str) -> bool:
    """Whether `item` names something that is to be fetched."""
    return item.startswith(("http://", "https://")) or in_bucket(item)


def is_content(item: str) -> bool:
    """Whether `item` is neither a URL nor a path."""
    if is_url(item) or item.startswith("file://"):
        return False
    return existing_path(item) is None and not _looks_like_path(item)


def existing_path(item: str) -> Path | None:
    """The path that `item` is, if there is a file or a folder that calls may reach."""
    if not item or len(item) > LONGEST_PATH or "\n" in item or "\0" in item:
        return None
    try:
        there = os.path.isfile(item) or os.path.isdir(item)  # a pipe would be waited for
        return Path(item) if there and allowed(item) else None
    except (OSError, ValueError):
        return None


def _looks_like_path(item: str) -> bool:
    """Whether a client meant a path: an absolute one, or a name with a data file's ending."""
    if "\n" in item or len(item) > LONGEST_PATH:
        return False
    ending = item.rpartition(".")[2].lower()
    begins = item.startswith(("/", "./", "../", "file://"))
    return begins or ending in ("csv", "tsv", "svm", "libsvm", "txt")


def _files_of(folder: Path) -> tuple[Path, ...]:
    try:
        found = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as exc:
        raise BadInput(f"cannot read folder {folder}: {exc.strerror}") from exc
    named = [p for p in found if p.suffix.lower() == ".csv"]
    if not (named or found):
        raise BadInput(f"unable to find any files in {folder}")
    for path in named or found:
        if path.is_symlink():
            check(path, "a file of a folder in data")
    return tuple(named or found)


def fetch(url: str, *, timeout_s: float, folder: Path) -> Path:
    """Downloads `url` into `folder`; raises BadInput naming the URL and what went wrong.

    What lies under a prefix of a bucket becomes a folder.
    """
    target = folder / f"download-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    if in_bucket(url):
        try:
            return objects.download(url, target, what="data")
        except OSError as exc:
            raise BadInput(f"{url}: {exc.strerror}") from exc
    from dd_ray.guard.http import Failure, download, reason  # few calls have URLs

    try:
        with target.open("wb") as file:
            download(url, file, limit=settings().max_download_bytes, timeout_s=timeout_s)
    except (*Failure, ValueError) as exc:
        raise BadInput(f"{url}: {reason(exc)}") from exc
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
