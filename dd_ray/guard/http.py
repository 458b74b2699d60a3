"""Calling the URLs of calls: hosts are checked, resolved once, and called at that address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import BinaryIO

import httpx

from dd_ray.guard.addresses import addresses_of
from dd_ray.guard.inflate import Inflating
from dd_ray.settings import settings

MOST_REDIRECTS = 5

_AGENT = {"User-Agent": "dd-ray", "Accept-Encoding": "gzip, identity"}
_PORTS = {"http": 80, "https": 443}

Failure = (httpx.HTTPError, httpx.InvalidURL, UnicodeError, TimeoutError)
"""What calling a URL raises; `reason` tells what it was."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends each request to an address that was checked, under the name that the URL has.

    Whoever answers a second question for the name's address, or a redirect, is checked again.
    """

    def __init__(self) -> None:
        # no connection is kept: the next request to this address may be for another name, whose
        # certificate nobody has seen
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in _PORTS or not url.host:
            raise httpx.UnsupportedProtocol("expected a URL that starts with http:// or https://")
        name = url.raw_host.decode("ascii")
        addresses = await addresses_of(name, url.port or _PORTS[url.scheme])
        for address in addresses[:-1]:
            try:
                return await self._send(request, str(address), name)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, str(addresses[-1]), name)

    async def _send(self, request: httpx.Request, address: str, name: str) -> httpx.Response:
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # Host is among them
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": name},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def answer_of(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    redirects: int = 0,
) -> AsyncIterator[httpx.Response]:
    """The answer to a request, its body not read yet. Redirects past `redirects` are an answer."""
    limits = settings()
    async with httpx.AsyncClient(
        transport=CheckedTransport(),
        trust_env=False,  # neither a proxy, which would resolve names itself, nor .netrc
        timeout=httpx.Timeout(limits.read_timeout_s, connect=limits.connect_timeout_s),
        headers=_AGENT,
    ) as client:
        request = client.build_request(method, url, headers=headers, content=content)
        while True:
            answer = await client.send(request, stream=True)
            try:
                if answer.next_request is None or redirects == 0:
                    yield answer
                    return
            finally:
                await answer.aclose()
            request, redirects = answer.next_request, redirects - 1


async def content_of(answer: httpx.Response, *, limit: int) -> AsyncIterator[bytes]:
    """The body of an answer in parts; raises Broken, or TooLong past the limit."""
    body = Inflating(answer.headers.get("content-encoding", ""), limit=limit)
    async for chunk in answer.aiter_raw():
        yield body.add(chunk)
    body.end()


class BadStatus(httpx.HTTPError):
    """Another status than 200."""

    def __init__(self, code: int) -> None:
        super().__init__(f"answered with status {code}")
        self.code = code


def download(url: str, file: BinaryIO, *, limit: int, timeout_s: float) -> None:
    """Writes what is at a URL into a file; raises one of Failure, Broken or TooLong.

    `timeout_s` is for all of it: a host that sends a byte now and then does not hold us longer.
    """

    async def fetch() -> None:
        async with (
            asyncio.timeout(timeout_s),
            answer_of("GET", url, redirects=MOST_REDIRECTS) as answer,
        ):
            if answer.status_code != 200:
                raise BadStatus(answer.status_code)
            async for part in content_of(answer, limit=limit):
                file.write(part)

    with ThreadPoolExecutor(1, thread_name_prefix="download") as pool:
        pool.submit(asyncio.run, fetch()).result()  # the caller may be on an event loop of its own


def reason(error: Exception) -> str:
    """What to tell of a failure."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__
