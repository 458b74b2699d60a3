"""Reading request bodies: bounded, decompressed, JSON whatever their content type says."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from dd_ray.errors import BadRequest, TooLarge
from dd_ray.settings import settings

_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}
MAX_DEPTH = 64
"""Objects and arrays in one another; calls of clients have less than ten."""


async def read_call(request: Request) -> tuple[dict[str, Any], bytes]:
    """The call in a request's body, and its JSON; raises BadRequest or TooLarge."""
    limit = settings().max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"the body has {declared} bytes, expected at most {limit}")
    encoding = request.headers.get("content-encoding", "")
    try:
        raw = await unpack(request.stream(), encoding, limit=limit)
    except ClientDisconnect as exc:
        raise BadRequest("the connection ended before the body did") from exc
    return parse_call(raw)


async def unpack(chunks: AsyncIterable[bytes], encoding: str, *, limit: int) -> bytes:
    """A whole body, decompressed; raises TooLarge as soon as it is past the limit."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", *_WINDOW_BITS):
        raise BadRequest(f"Content-Encoding: {encoding[:40]!r}, expected gzip or deflate")
    stream = zlib.decompressobj(_WINDOW_BITS[encoding]) if encoding in _WINDOW_BITS else None
    body = bytearray()
    async for chunk in chunks:
        body += _inflated(stream, chunk, limit - len(body) + 1) if stream else chunk
        if len(body) > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
    if stream is not None and not stream.eof:
        raise BadRequest(f"the body is not a whole {encoding} stream")
    return bytes(body)


def _inflated(stream: Any, chunk: bytes, room: int) -> bytes:
    try:
        content: bytes = stream.decompress(chunk, room)
    except zlib.error as exc:
        raise BadRequest("the body does not decompress") from exc
    if stream.unused_data:  # zlib would keep all that follows
        raise BadRequest("the body goes on after the end of its compressed stream")
    return content


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
        raise BadRequest(f"the body is {_kind(call)}, expected a JSON object")
    openings = raw.count(b"{") + raw.count(b"[")  # cheap, and few calls have more
    if openings > MAX_DEPTH and _deeper(call, MAX_DEPTH):
        raise BadRequest(f"the body has more than {MAX_DEPTH} objects and arrays in one another")
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


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def service_of(call: dict[str, Any]) -> str:
    """The `service` of a train or predict call; raises BadRequest."""
    service = call.get("service")
    if not isinstance(service, str):
        got = "nothing" if service is None else _kind(service)
        raise BadRequest(f"service: expected the name of a service, got {got}")
    return service
