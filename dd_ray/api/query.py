"""Query strings as DeepDetect reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from dd_ray.errors import BadRequest

_LONGEST = 18
"""Characters of a number: what fits 64 bits."""

_INTEGER = re.compile(r"([+-]?\d+)(\.\d*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)


def query_of(request: Request) -> dict[str, str]:
    """The query string of a request, the last of repeated keys; raises BadRequest."""
    return parse_query(request.scope["query_string"])


def parse_query(raw: bytes) -> dict[str, str]:
    """Keys as they are written, dots and all; a key without a value has an empty one.

    >>> parse_query(b"service=caf%C3%A9&job=1&job=2&parameters.output.best=&x")
    {'service': 'café', 'job': '2', 'parameters.output.best': '', 'x': ''}
    """
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as exc:
        raise BadRequest("the query is not UTF-8") from exc


def flag(query: Mapping[str, str], key: str) -> bool:
    """`true`, `false`, `1` or `0` in any case, False when absent; raises BadRequest."""
    value = query.get(key, "")
    known = {"": False, "true": True, "1": True, "false": False, "0": False}
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
    found = _INTEGER.fullmatch(value)
    if found is None or len(value) > _LONGEST:
        raise BadRequest(f"{key}: expected a number, got {value[:40]!r}")
    return int(found[1])


def seconds(query: Mapping[str, str], key: str, *, most: float) -> float:
    """A duration from 0, also when absent, to `most`; raises BadRequest.

    >>> [seconds({"timeout": value}, "timeout", most=60) for value in ("-1", "2.5", "999")]
    [0.0, 2.5, 60]
    """
    value = query.get(key, "").strip()
    if not value:
        return 0.0
    if not _NUMBER.fullmatch(value):
        raise BadRequest(f"{key}: expected seconds, got {value[:40]!r}")
    return min(max(float(value), 0.0), most)
