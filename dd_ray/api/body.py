"""Reading request bodies: bounded, decompressed, JSON whatever their content type says."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from starlette.requests import ClientDisconnect, Request

from dd_ray.errors import BadRequest, TooLarge
from dd_ray.guard.inflate import Broken, Inflating, TooLong
from dd_ray.services.call import kind, parse_call
from dd_ray.settings import settings


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
    body = bytearray()
    try:
        stream = Inflating(encoding, limit=limit)
        async for chunk in chunks:
            body += stream.add(chunk)
        stream.end()
    except TooLong as exc:
        raise TooLarge(f"the body is {exc} (DD_RAY_MAX_BODY_BYTES)") from exc
    except Broken as exc:
        raise BadRequest(f"the body: {exc}") from exc
    return bytes(body)


def service_of(call: dict[str, Any]) -> str:
    """The `service` of a train or predict call; raises BadRequest."""
    service = call.get("service")
    if not isinstance(service, str):
        got = "nothing" if service is None else kind(service)
        raise BadRequest(f"service: expected the name of a service, got {got}")
    return service
