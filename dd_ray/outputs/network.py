"""Pushing an answer to another server, whose answer the caller then gets."""

from __future__ import annotations

import re

import httpx

from dd_ray.errors import BadParameter, BadRequest, NetworkError
from dd_ray.outputs.params import NetworkParams

MAX_ANSWER = 64 * 2**20
"""Bytes of the remote answer that are handed on."""

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_METHODS = frozenset({"POST", "PUT", "PATCH", "GET", "DELETE"})
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)")


async def push(network: NetworkParams, content: bytes) -> tuple[int, bytes]:
    """Sends `content` and returns the remote's status and body; redirects are not followed.

    Raises BadRequest without a url, BadParameter for a method or header that is none, and
    NetworkError when the remote does not answer.
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
    if header is None:
        raise BadParameter(
            "parameters.output.network.content_type: expected a header line such as"
            " 'Content-Type: application/json'"
        )
    try:
        return await _exchange(method, network.url, {header[1]: header[2]}, content)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
        raise NetworkError(f"{network.url}: {exc or type(exc).__name__}") from exc


async def _exchange(
    method: str, url: str, headers: dict[str, str], content: bytes
) -> tuple[int, bytes]:
    async with (
        httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False) as client,
        client.stream(method, url, content=content, headers=headers) as answer,
    ):
        received = bytearray()
        async for chunk in answer.aiter_bytes():
            received += chunk
            if len(received) > MAX_ANSWER:
                raise NetworkError(f"{url}: the answer is longer than {MAX_ANSWER} bytes")
        return answer.status_code, bytes(received)
