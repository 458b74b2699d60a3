"""Cross-origin calls from browsers, where the operator names the origin that may make them."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = "GET, POST, PUT, HEAD, DELETE, PATCH, OPTIONS"
_HEADERS = (
    "DNT, User-Agent, X-Requested-With, If-Modified-Since, Cache-Control, Content-Type, Range,"
    " Authorization"
)
_MAX_AGE_S = 20 * 24 * 3600


class CrossOrigin:
    """Adds the headers to every answer, and answers any OPTIONS, as DeepDetect does."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._headers = {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _HEADERS,
            "access-control-max-age": str(_MAX_AGE_S),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=self._headers)(scope, receive, send)
            return
        added = [(name.encode(), value.encode("latin-1")) for name, value in self._headers.items()]

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = dict(message, headers=[*message.get("headers", ()), *added])
            await send(message)

        await self._app(scope, receive, send_allowed)
