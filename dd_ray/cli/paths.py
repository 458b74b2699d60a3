"""Paths that a person gives relative to where they are."""

from __future__ import annotations

from pathlib import Path


def absolute(folder: Path, path: str) -> str:
    """A path relative to `folder` made absolute; URLs stay.

    >>> absolute(Path("/data"), "wine"), absolute(Path("/data"), "s3://bucket/wine")
    ('/data/wine', 's3://bucket/wine')
    """
    return path if "://" in path else str(folder / path)


def found_in(folder: Path, item: str) -> str:
    """An item of `data` as an absolute path if it is a path that is there, else as it is."""
    try:
        return absolute(folder, item) if item and (folder / item).exists() else item
    except (OSError, ValueError):  # too long for a path, or with a NUL: the data itself
        return item
