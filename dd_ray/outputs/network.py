"""Pushing an answer to another server, whose answer the caller then gets."""

from __future__ import annotations

import asyncio
import re

from dd_ray.errors import BadParameter, BadRequest, NetworkError
from dd_ray.outputs.params import NetworkParams
from dd_ray.settings import settings

_METHODS = frozenset({"POST", "PUT", "PATCH", "GET", "DELETE"})
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)")
_NOT_THEIRS = frozenset(
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"]
)
"""Headers that say where a request goes or where it ends."""


async def push(network: NetworkParams, content: bytes) -> tuple[int, bytes]:
    """Sends `content` and returns the remote's status and body; redirects are not followed.

    Raises BadRequest without a url, BadParameter for a method or header that is none, and
    NetworkError when the remote may not be called or does not answer.
    """
    if not network.url:
        raise BadRequest("parameters.output.network.url is missing")
    method = network.http_method.upper()
    if method not in _METHODS:
        raise BadParameter(
            f"parameters.output.network.http_method: {network.http_method!r},"
            f" expected one of {', '.join(sorted(_METHODS))}"
        )
    header = _HEADER.fullmatch(network.content_type)
    if header is None or header[1].lower() in _NOT_THEIRS:
        raise BadParameter(
            "parameters.output.network.content_type: expected a header line such as"
            " 'Content-Type: application/json'"
        )
    return await _exchange(method, network.url, {header[1]: header[2]}, content)


async def _exchange(
    method: str, url: str, headers: dict[str, str], content: bytes
) -> tuple[int, bytes]:
    from dd_ray.guard.http import Failure, answer_of, content_of, reason  # few calls push

    limits = settings()
    received = bytearray()
    try:
        async with (
            asyncio.timeout(limits.network_timeout_s),
            answer_of(method, url, headers=headers, content=content) as answer,
        ):
            async for part in content_of(answer, limit=limits.max_network_bytes):
                received += part
            return answer.status_code, bytes(received)
    except (*Failure, ValueError) as exc:
        raise NetworkError(f"{url}: {reason(exc)}") from exc
