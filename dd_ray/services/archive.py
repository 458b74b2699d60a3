"""`model.init`: starting from an archive, which is fetched and unpacked into the repository."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dd_ray.errors import BadParameter, LibraryError
from dd_ray.guard.paths import check
from dd_ray.guard.unpack import BadArchive, unpack
from dd_ray.locations import as_path, in_bucket
from dd_ray.objects import Objects
from dd_ray.repository import CREATION_CALL, OWN_NAMES, PARTIAL, Repository
from dd_ray.settings import settings

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_TIMEOUT_S = 6000.0
"""As long as one URL of `data` may take by default."""


def install(init: str, repository: Repository) -> Mapping[str, Any] | None:
    """Unpacks what `init` names into a repository.

    Returns the `parameters` of the `config.json` in it, which stand for those of the call; None
    when there is none. Raises BadParameter, or Forbidden for a path outside of the roots.
    """
    name = _name(init)
    kept = repository.path / name
    if kept.is_file():  # nothing is fetched; who put it there may have more than models there
        _unpack(kept, repository, replace=repository.is_ours)
    else:
        if not repository.is_ours:
            raise _failed(f"{repository.path} has other files, expected a new or an empty folder")
        _unpack(_source(init, kept, repository), repository, replace=True)
    return _parameters(repository)


def _name(init: str) -> str:
    """The file name of the archive; raises BadParameter."""
    url = init.startswith(("http://", "https://")) or in_bucket(init)
    try:
        name = os.path.basename(unquote(urlsplit(init).path) if url else init)
    except ValueError as exc:
        raise _failed(f"{init[:200]!r} is no URL") from exc
    if not name.endswith(ENDINGS) or name.startswith(OWN_NAMES) or not name.isprintable():
        raise _failed(f"{name[:100]!r}, expected a name that ends in {', '.join(ENDINGS)}")
    return name


def _source(init: str, kept: Path, repository: Repository) -> Path:
    """Where the archive is: a file, or what was fetched, which the repository keeps."""
    if init.startswith(("http://", "https://")):
        _fetch(init, kept, repository)
        return kept
    if in_bucket(init):
        _copy(init, kept)
        return kept
    path = Path(as_path(init))
    check(path, "model.init")
    if not path.is_file():
        raise BadParameter(f"failed fetching model archive: {init} with code: 0 (no such file)")
    return path


def _fetch(url: str, target: Path, repository: Repository) -> None:
    from dd_ray.guard.http import BadStatus, Failure, download, reason  # few services start so

    limit = settings().max_download_bytes
    partial = repository.path / f"{PARTIAL}{uuid.uuid4().hex}"
    try:
        with partial.open("xb") as file:
            download(url, file, limit=limit, timeout_s=_TIMEOUT_S)
        partial.replace(target)
    except (*Failure, ValueError) as exc:
        code = exc.code if isinstance(exc, BadStatus) else 0
        raise BadParameter(
            f"failed fetching model archive: {url} with code: {code} ({reason(exc)})"
        ) from exc
    except OSError as exc:
        raise LibraryError(f"cannot write {target}: {exc.strerror}") from exc
    finally:
        partial.unlink(missing_ok=True)


def _copy(url: str, target: Path) -> None:
    objects = Objects(url, what="model.init")
    limit = settings().max_download_bytes
    try:
        size = objects.size()
        if size is None:
            raise BadParameter(f"failed fetching model archive: {url} with code: 404 (no object)")
        if size > limit:
            raise BadParameter(
                f"failed fetching model archive: {url} with code: 0 ({size} bytes, expected at"
                f" most {limit})"
            )
        objects.fetch("", target)
    except OSError as exc:
        raise BadParameter(
            f"failed fetching model archive: {url} with code: 0 ({exc.strerror})"
        ) from exc


def _unpack(archive: Path, repository: Repository, *, replace: bool) -> None:
    """All of the archive or nothing; its `config.json` comes last."""
    limits = settings()
    beside = repository.path / f"{PARTIAL}{uuid.uuid4().hex}"
    try:
        beside.mkdir()
        names = unpack(
            archive,
            beside,
            max_bytes=limits.max_archive_bytes,
            max_files=limits.max_archive_files,
        )
        for name in names:
            if name.parts[0].startswith(OWN_NAMES):
                raise BadArchive(f"the name {str(name)!r} is dd-ray's")
            check((repository.path / name).parent, "a folder of the repository")
        for name in sorted(names, key=lambda name: str(name) == CREATION_CALL):
            _move(beside / name, repository.path / name, replace=replace)
    except BadArchive as exc:
        raise _failed(str(exc)) from exc
    except OSError as exc:
        if exc.filename == str(archive):
            raise _failed(f"cannot read {archive}: {exc.strerror}") from exc
        raise LibraryError(f"cannot write in {repository.path}: {exc.strerror}") from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move(source: Path, target: Path, *, replace: bool) -> None:
    if target.exists() and not replace:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def _parameters(repository: Repository) -> Mapping[str, Any] | None:
    content = repository.read(CREATION_CALL)
    if content is None:
        return None
    try:
        parameters = json.loads(content)["parameters"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadParameter(f"Failed parsing config file {repository.path / CREATION_CALL}") from exc
    if not isinstance(parameters, Mapping):
        raise BadParameter(f"Failed parsing config file {repository.path / CREATION_CALL}")
    return parameters


def _failed(reason: str) -> BadParameter:
    return BadParameter(
        f"failed installing model from archive, check 'init' argument to model: {reason}"
    )
