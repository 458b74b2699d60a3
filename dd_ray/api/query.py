"""Query strings as DeepDetect reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dd_ray.errors import BadRequest

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


def flag(query: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    """`true`, `false`, `1` or `0` in any case; raises BadRequest for anything else."""
    value = query.get(key)
    if value is None or value == "":
        return default
    known = {"true": True, "1": True, "false": False, "0": False}
    if value.lower() not in known:
        raise BadRequest(f"{key}: expected true or false, got {value[:40]!r}")
    return known[value.lower()]


def integer(query: Mapping[str, str], key: str) -> int | None:
    """A whole number, None when absent or empty; digits after a point are cut off.

    >>> integer({"job": "1.5"}, "job"), integer({"job": ""}, "job")
    (1, None)
    """
    value = query.get(key, "").strip()
    if not value:
        return None
    if not _NUMBER.fullmatch(value) or len(value) > 18:
        raise BadRequest(f"{key}: expected a number, got {value[:40]!r}")
    found = _INTEGER.match(value)
    assert found is not None
    return int(found.group())


def seconds(query: Mapping[str, str], key: str, *, most: float) -> float:
    """A duration from 0 to `most`; below 0 is 0."""
    value = query.get(key, "").strip()
    if not value:
        return 0.0
    if not _NUMBER.fullmatch(value) or len(value) > 18:
        raise BadRequest(f"{key}: expected seconds, got {value[:40]!r}")
    return min(max(float(value), 0.0), most)
