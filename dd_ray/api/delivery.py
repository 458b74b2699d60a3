"""Answers that are given once only: whether one was written to its connection."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dd_ray.services.answer import Delivered


class Delivery:
    """Sends a response and tells whether that went well.

    Written is not received: what a client does not read before it goes is lost to it. But one that
    went before is noticed.
    """

    def __init__(self, response: Response, delivered: Delivered) -> None:
        self._response = response
        self._delivered = delivered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            gone = await _is_gone(Request(scope, receive))
            await self._response(scope, receive, send)
        except BaseException:  # also the cancellation that ends a request without a client
            await asyncio.shield(self._delivered(False))
            raise
        await self._delivered(not gone)


async def _is_gone(request: Request) -> bool:
    """The first thing to be received is the body, the second can only be the end."""
    return await request.is_disconnected() or await request.is_disconnected()
