"""Paths that are written otherwise but mean the same: `//train` and `/train/` are `/train`."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from dd_ray.api.envelope import refuse
from dd_ray.errors import BadRequest


class PlainPaths:
    """Gives an app plain paths. No redirect: clients lose their body, or their method, on it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope = dict(scope, path=_path_of(scope))
            except BadRequest as error:
                await refuse(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _path_of(scope: Scope) -> str:
    raw = scope.get("raw_path")
    if raw is None:  # some servers give the decoded path only
        return _joined(scope["path"].split("/"))
    return plain_path(raw)


def plain_path(raw: bytes) -> str:
    """A path as a client sent it, decoded; raises BadRequest.

    >>> plain_path(b"//services/caf%C3%A9/")
    '/services/café'
    """
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw.split(b"/")]
    except UnicodeDecodeError as exc:
        raise BadRequest("the path is not UTF-8") from exc
    for part in parts:
        if "/" in part:
            raise BadRequest(f"service: a name has no '/', got {part[:80]!r}")
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    return "/" + "/".join(part for part in parts if part)
