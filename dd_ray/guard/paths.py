"""Which paths and buckets calls may reach: those in DD_RAY_ROOTS, paths by where links lead."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path

from dd_ray.errors import Forbidden
from dd_ray.locations import bucket_url, in_bucket
from dd_ray.settings import settings

_MACHINE = ("/proc", "/sys", "/dev")
"""Neither data nor models: the environments and the memory of processes, and devices.

Closed with them are DD_RAY_HOME and Ray's token: who has it can run anything on the cluster.
"""


_REFUSAL = (
    "expected in a folder that this server opens to calls (DD_RAY_ROOTS), not among its own files"
)


def check(path: str | Path, what: str) -> None:
    """Raises Forbidden when calls may not reach a path or URL, whether there is something or not.

    The error says `what` it was, and nothing of the path, so that nobody learns what there is.
    """
    if not allowed(path):
        if in_bucket(str(path)) and not any(map(in_bucket, settings().roots)):
            raise Forbidden(f"{what}: DD_RAY_ROOTS names no bucket; expected one in it")
        raise Forbidden(f"{what}: {_REFUSAL}")


def allowed(path: str | Path) -> bool:
    """Whether calls may reach a path, there or not: into a root, anywhere where there are none.

    Never to what the server keeps for itself, unless a root lies in it. Objects in buckets only
    into a root: the server's credentials open more than its disk.
    """
    given = settings().roots
    if in_bucket(str(path)):
        return _is_in_root(str(path))
    try:
        real = os.path.realpath(path)
    except ValueError:  # a NUL
        return False
    if _is_copy(real):
        return True
    roots = [root for root in given if is_within(real, root)]
    closed = [own for own in _closed() if is_within(real, own)]
    return bool(roots or not given) and all(
        any(is_within(root, own) for root in roots) for own in closed
    )


def is_within(path: str, folder: str) -> bool:
    """Whether a real path is another or lies in it.

    >>> is_within("/data/a", "/data"), is_within("/database", "/data"), is_within("/data", "/")
    (True, False, True)
    """
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")


def copies_folder() -> Path:
    """Where the server keeps copies of repositories in buckets, each in a folder of its own."""
    return Path(tempfile.gettempdir()) / f"dd-ray-copies-{os.getuid()}"


def _is_in_root(url: str) -> bool:
    try:
        normal = bucket_url(url)
    except ValueError:
        return False
    return any(is_within(normal, root) for root in settings().roots)


def _is_copy(real: str) -> bool:
    """Whether a path lies in a copy that there is, whose name cannot be guessed."""
    (copies,) = _real((str(copies_folder()),))
    if not is_within(real, copies) or real == copies:
        return False
    return os.path.isdir(os.path.join(copies, real[len(copies) + 1 :].partition("/")[0]))


def _closed() -> tuple[str, ...]:
    """Files and folders that no call may reach."""
    token = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    own = (str(settings().home), os.path.expanduser("~/.ray"), token, str(copies_folder()))
    return _real((*_MACHINE, *own))


@lru_cache(maxsize=8)
def _real(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(os.path.realpath(path) for path in paths if path)
