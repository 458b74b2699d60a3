"""Whether the machines of a cluster can all use a repository; most often it is a path on one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dd_ray.errors import ApiError, BadParameter
from dd_ray.repository import PARTIAL, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A file in a repository that other machines shall see."""

    repository: str
    name: str
    content: bytes


@contextmanager
def marked(path: str) -> Iterator[Mark]:
    """A mark in a repository while the context lasts."""
    given = uuid.uuid4().hex
    mark = Mark(repository=path, name=f"{PARTIAL}{given}", content=given.encode())
    repository = Repository(path)
    repository.write(mark.name, mark.content)
    try:
        yield mark
    finally:
        repository.drop(mark.name)


def why_not(mark: Mark) -> str:
    """Why this machine cannot use the repository of a mark; empty when it can."""
    repository = Repository(mark.repository)
    try:
        if repository.latest(mark.name) != mark.content:
            return "it has another folder there, or none"
        own = f"{PARTIAL}{uuid.uuid4().hex}"
        repository.write(own, b"")
        repository.drop(own)
    except ApiError as exc:
        return exc.message
    return ""


def check(path: str, found: Sequence[tuple[str, str]]) -> None:
    """Raises BadParameter naming the machines that cannot use a repository, each with the reason.

    >>> check("/data/m", [("10.0.0.1 (a)", ""), ("10.0.0.2 (b)", "no such folder")])
    Traceback (most recent call last):
    dd_ray.errors.BadParameter: model.repository: node 10.0.0.2 (b) cannot use /data/m...
    """
    unable = [f"node {name} cannot use {path} ({why})" for name, why in found if why]
    if unable:
        raise BadParameter(
            f"model.repository: {'; '.join(unable)}: expected a folder on a file system that all"
            " nodes have, or an s3:// or gs:// URL"
        )
