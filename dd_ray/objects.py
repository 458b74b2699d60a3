"""Objects in buckets: listing, fetching, writing and removing what lies under a URL."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from dd_ray.errors import BadParameter
from dd_ray.guard.paths import check
from dd_ray.locations import bucket_url
from dd_ray.settings import settings

_T = TypeVar("_T")

_THREADS = 8
_CHUNK = 8 * 2**20
_ATTEMPTS = 3
"""How often a request is sent that gets no answer, or one that says to come again."""

_SILENT_S = 10.0
"""How long each of them may get no byte: three of them took 32 s in all."""

_AWS = re.compile(r"AWS Error (\w+)")
_REASONS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access denied: the server's credentials (AWS_ACCESS_KEY_ID,"
    " AWS_SECRET_ACCESS_KEY) are missing or may not do this",
    "INVALID_ACCESS_KEY_ID": "the server's AWS_ACCESS_KEY_ID is not known there",
    "SIGNATURE_DOES_NOT_MATCH": "the server's AWS_SECRET_ACCESS_KEY is wrong",
    "NETWORK_CONNECTION": "no answer from the host of the bucket (AWS_ENDPOINT_URL_S3)",
}


class Objects:
    """What lies under a URL such as `s3://bucket/prefix`, by names relative to it.

    Failures are OSErrors whose `strerror` says why; what is not there is a FileNotFoundError.
    Nothing is asked before the first call, which raises Forbidden outside of the roots.
    """

    def __init__(self, url: str, *, what: str) -> None:
        """`what` is the field that names it; raises BadParameter for what is no URL."""
        try:
            self.url = bucket_url(url)
        except ValueError as exc:
            raise BadParameter(f"{what}: {url[:200]!r}: {exc}") from exc
        self._what = what
        self._root = self.url.partition("://")[2]

    @cached_property
    def files(self) -> Any:
        """The file system of pyarrow that has them."""
        check(self.url, self._what)
        return _google() if self.url.startswith("gs://") else _s3(*_s3_options(os.environ))

    def path(self, name: str = "") -> str:
        """The path of an object in `files`."""
        return f"{self._root}/{name}" if name else self._root

    def sizes(self, name: str = "", *, deep: bool = True) -> dict[str, int]:
        """Bytes of all objects under a name, or of those right below it.

        Objects whose names would be other paths in a folder (`a/../b`) are left out.
        """
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self.path(name), recursive=deep, allow_not_found=True)
        with _told():
            found = self.files.get_file_info(selector)
        begin = f"{self._root}/"
        sizes = {i.path.removeprefix(begin): i.size for i in found if i.type == FileType.File}
        return {name: size for name, size in sizes.items() if _is_path(name)}

    def is_empty(self) -> bool:
        """Whether nothing lies under the URL."""
        from pyarrow.fs import FileSelector

        with _told():
            return not self.files.get_file_info(FileSelector(self._root, allow_not_found=True))

    def size(self) -> int | None:
        """Bytes of the object that the URL itself names; None for a prefix or nothing."""
        from pyarrow.fs import FileType

        with _told():
            info = self.files.get_file_info(self._root)
        return info.size if info.type == FileType.File else None

    def fetch(self, name: str, target: Path, *, known: str = "") -> str:
        """Copies an object into a file, whole or not at all; returns its version.

        Nothing is copied when that is `known`. Stores without versions have the empty one.
        """
        partial = target.with_name(f".partial-{uuid.uuid4().hex}")
        with _told(), self.files.open_input_stream(self.path(name)) as source:
            version = _version(source.metadata() or {})
            if version and version == known:
                return version
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with partial.open("wb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        return version

    def put(self, name: str, source: Path) -> None:
        """Makes a file an object; a reader finds the old one or the new one."""
        with source.open("rb") as file, _told():
            target = self.files.open_output_stream(self.path(name))
            shutil.copyfileobj(file, target, _CHUNK)
            target.close()  # which is when it appears

    def write(self, name: str, content: bytes) -> None:
        with _told(), self.files.open_output_stream(self.path(name)) as target:
            target.write(content)

    def read(self, name: str) -> bytes | None:
        """The content of a small object, None when there is none."""
        with suppress(FileNotFoundError), _told():
            with self.files.open_input_stream(self.path(name)) as source:
                content: bytes = source.read()
            return content
        return None

    def drop(self, name: str) -> None:
        """Removes an object, if it is there."""
        with suppress(FileNotFoundError), _told():
            self.files.delete_file(self.path(name))

    def drop_all(self, name: str = "") -> None:
        """Removes all objects under a name."""
        with suppress(FileNotFoundError), _told():
            self.files.delete_dir(self.path(name))


def download(url: str, folder: Path, *, what: str) -> Path:
    """Copies an object, or all under a prefix, into a folder, made for it; the path of the copy.

    Raises OSError, also when it is more than a download may be.
    """
    objects = Objects(url, what=what)
    target = folder / objects.url.rpartition("/")[2]
    size = objects.size()
    sizes = objects.sizes() if size is None else {"": size}
    if not sizes:
        raise FileNotFoundError(errno.ENOENT, "no such object, and none under that prefix")
    _check_size(sum(sizes.values()))
    if size is None:
        together(lambda name: objects.fetch(name, target / name), sizes)
    else:
        objects.fetch("", target)
    return target


def download_each(urls: Sequence[str], folder: Path, *, what: str) -> list[Path]:
    """Copies objects into a folder, in which each has a name of its own; see download."""
    targets = [folder / f"{i}-{url.rpartition('/')[2]}" for i, url in enumerate(urls)]
    copied: list[int] = []

    def fetch(number: int) -> None:
        Objects(urls[number], what=what).fetch("", targets[number])
        copied.append(targets[number].stat().st_size)
        _check_size(sum(copied))

    together(fetch, range(len(urls)))
    return targets


def together(work: Callable[[_T], object], items: Iterable[_T]) -> None:
    """Does it for all, a few at a time; raises the first failure without beginning the rest."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="objects") as pool:
        try:
            for _ in pool.map(work, items):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_path(name: str) -> bool:
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name


def _check_size(size: int) -> None:
    limit = settings().max_download_bytes
    if size > limit:
        reason = f"{size} bytes, expected at most {limit} (DD_RAY_MAX_DOWNLOAD_BYTES)"
        raise OSError(errno.EFBIG, reason)


def _version(metadata: Mapping[str, bytes]) -> str:
    return next((v.decode() for k, v in metadata.items() if k.lower() == "etag"), "")


@contextmanager
def _told() -> Iterator[None]:
    """Makes what pyarrow raises an OSError whose `strerror` says in our words what it was."""
    try:
        yield
    except FileNotFoundError as exc:
        raise FileNotFoundError(errno.ENOENT, "no such object") from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EFBIG):  # of our disk
            raise
        raise OSError(errno.EIO, _reason(str(exc))) from exc


def _reason(text: str) -> str:
    """
    >>> _reason("When listing: AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: none")
    'there is no such bucket'
    """
    found = _AWS.search(text)
    if found and found[1] in _REASONS:
        return _REASONS[found[1]]
    return text.strip().splitlines()[0][:300] if text.strip() else "the bucket does not answer"


def _s3_options(env: Mapping[str, str]) -> tuple[str, str]:
    """The URL of the service and the region, as the libraries of AWS read them.

    pyarrow itself reads keys, profiles and the roles of machines, but no endpoint.

    >>> _s3_options({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "http://b:2"})
    ('http://b:2', '')
    """
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL", "")
    return endpoint, env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "")


@lru_cache(maxsize=4)
def _s3(endpoint: str, region: str) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    scheme, _, host = endpoint.rpartition("://")
    return S3FileSystem(
        scheme=scheme or "https",
        endpoint_override=host or None,
        region=region or None,
        connect_timeout=settings().connect_timeout_s,
        request_timeout=min(settings().read_timeout_s, _SILENT_S),
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        allow_delayed_open=True,  # a small object is one request
    )


@lru_cache(maxsize=1)
def _google() -> Any:
    from datetime import timedelta

    from pyarrow.fs import GcsFileSystem

    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    scheme, _, host = emulator.rpartition("://")
    return GcsFileSystem(
        anonymous=bool(emulator),
        scheme=scheme or ("http" if emulator else "https"),
        endpoint_override=host or None,
        retry_time_limit=timedelta(seconds=settings().connect_timeout_s),
    )
