"""Reading the JSON of a call: the same on every path that a request can take."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson

from dd_ray.errors import BadRequest
from dd_ray.settings import settings


def parse_call(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a call, and its JSON; raises BadRequest saying where it is malformed.

    The JSON is the client's own, except that NaN and Infinity, which DeepDetect takes although
    they are no JSON, are null in both.
    """
    try:
        call = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raw = _strict(raw, exc)
        call = orjson.loads(raw)
    if not isinstance(call, dict):
        raise BadRequest(f"the body is {kind(call)}, expected a JSON object")
    openings = raw.count(b"{") + raw.count(b"[")  # cheap, and few calls have more
    most = settings().max_nesting
    if openings > most and _deeper(call, most):
        raise BadRequest(f"the body has more than {most} objects and arrays in one another")
    return call, raw


def _strict(raw: bytes, error: orjson.JSONDecodeError) -> bytes:
    """The same JSON with null for NaN and Infinity; raises BadRequest when that is not all."""
    if b"NaN" in raw or b"Infinity" in raw:
        # The stdlib also reads lone surrogates and integers of any size, which orjson cannot
        # write again: such a value must not get in, or no answer could show it.
        with suppress(ValueError, RecursionError, orjson.JSONEncodeError):
            return orjson.dumps(json.loads(raw.decode()))
    raise BadRequest(f"the body is not JSON: {error}") from error


def _deeper(value: Any, depth: int) -> bool:
    """Whether something is nested deeper than `depth`; strings and numbers cost nothing."""
    level: list[Any] = [value]
    for _ in range(depth):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def kind(value: Any) -> str:
    """What a JSON value is, for messages."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")
