"""Who may call: those with the key, and web pages only from where they are expected."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from dd_ray.api.envelope import refuse
from dd_ray.errors import ApiError, Forbidden
from dd_ray.guard.key import check_key

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that ask for nothing."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What is asked of a caller."""

    key: str = ""
    """The API key; empty asks for none."""
    origin: str = ""
    """The origin of web pages that may call, besides those that came from this server itself."""
    local_names: bool = False
    """Whether the server is only called by its addresses and as localhost, never by a name."""


EVERYBODY = Access()
"""Callers that nobody else can be: of an app in this process."""


class Guard:
    """Refuses what has no right to an app's answers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                check_access(scope["headers"], self._access)
            except ApiError as error:
                await refuse(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def check_access(headers: Headers, access: Access) -> None:
    """Raises Unauthorized or Forbidden for a request that may not be answered."""
    _check_page(headers, access)
    check_key(headers, access.key)


def _check_page(headers: Headers, access: Access) -> None:
    """Refuses requests that some page of the web makes with the browser of one of our users.

    A browser sends them without asking, also to a server on the user's own machine; bodies are
    read whatever their type, so that nothing else would stop them. Other clients have none of
    these headers.
    """
    origin, host = _text(headers, b"origin"), _text(headers, b"host")
    if origin and origin == access.origin:
        return
    site = _text(headers, b"sec-fetch-site")
    if site in ("cross-site", "same-site") or (not site and origin and not _same(origin, host)):
        raise Forbidden(
            "a web page of another origin called, expected none or that of --allow-origin"
        )
    if access.local_names and not access.key and not _is_local(host):
        raise Forbidden(
            f"Host: {host[:100]!r}, expected an address or localhost: a server without a key"
            " (DD_RAY_API_KEY) answers to no other name"
        )


def _same(origin: str, host: str) -> bool:
    return origin.partition("://")[2].lower() == host.lower()


def _is_local(host: str) -> bool:
    """Whether a Host header has no name that somebody else could lead to this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def _text(headers: Headers, wanted: bytes) -> str:
    """The first header of that name."""
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")
