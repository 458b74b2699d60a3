"""Reading request bodies: bounded, decompressed, JSON whatever their content type says."""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from dd_ray.errors import BadRequest, TooLarge
from dd_ray.settings import settings

_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
MAX_DEPTH = 64
"""Objects and arrays in one another; calls of clients have less than ten."""


async def read_body(request: Request) -> bytes:
    """The whole body after decompression; raises TooLarge as soon as it is past the limit."""
    limit = settings().max_body_bytes
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", *_WINDOW_BITS):
        raise BadRequest(f"Content-Encoding: {encoding[:40]!r}, expected gzip or deflate")
    unpack = zlib.decompressobj(_WINDOW_BITS[encoding]) if encoding in _WINDOW_BITS else None
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += _unpacked(unpack, chunk, limit - len(body)) if unpack else chunk
            if len(body) > limit:
                raise TooLarge(f"the body is longer than {limit} bytes")
    except ClientDisconnect as exc:
        raise BadRequest("the connection ended before the body did") from exc
    if unpack is not None and not unpack.eof:
        raise BadRequest(f"the body is not a whole {encoding} stream")
    return bytes(body)


def _unpacked(unpack: Any, chunk: bytes, room: int) -> bytes:
    try:
        content: bytes = unpack.decompress(chunk, room + 1)
    except zlib.error as exc:
        raise BadRequest("the body does not decompress") from exc
    return content


def parse_call(raw: bytes) -> dict[str, Any]:
    """The JSON object of a call; raises BadRequest saying where it is malformed.

    NaN and Infinity, which are no JSON, are read as DeepDetect does.
    """
    try:
        call = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        call = _with_nan(raw, exc)
    if not isinstance(call, dict):
        raise BadRequest(f"the body is {_kind(call)}, expected a JSON object")
    if _deeper(call, MAX_DEPTH):
        raise BadRequest(f"the body has more than {MAX_DEPTH} objects and arrays in one another")
    return call


def _with_nan(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    if b"NaN" in raw or b"Infinity" in raw:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            pass
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


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def service_of(call: dict[str, Any]) -> str:
    """The `service` of a train or predict call; raises BadRequest."""
    service = call.get("service")
    if not isinstance(service, str):
        got = "nothing" if service is None else _kind(service)
        raise BadRequest(f"service: expected the name of a service, got {got}")
    return service
