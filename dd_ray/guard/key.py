"""The API key: whoever has it may call."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable

from dd_ray.errors import Unauthorized

CHALLENGE = 'Bearer realm="dd-ray", Basic realm="dd-ray"'
"""`WWW-Authenticate` of a 401."""


def check_key(headers: Iterable[tuple[bytes, bytes]], key: str) -> None:
    """Raises Unauthorized unless a request's headers have the key; an empty key asks for none.

    Names are in lower case. Several `Authorization` headers are as good as none.
    """
    if not key:
        return
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1 or not has_key(given[0], key):
        raise Unauthorized("expected the header `Authorization: Bearer KEY` with the server's key")


def has_key(authorization: bytes, key: str) -> bool:
    """Whether the value of an `Authorization` header holds the key; takes the same time if not.

    `Basic` is for clients that set no header but take a URL such as `http://x:KEY@host:8080`: the
    key is the password, whoever the user.

    >>> has_key(b"Bearer 0123", "0123"), has_key(b"Basic eDowMTIz", "0123"), has_key(b"", "0123")
    (True, True, False)
    """
    scheme, _, rest = authorization.strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            given = rest.strip()
        case b"basic":
            given = _password(rest.strip())
        case _:
            given = b""
    return hmac.compare_digest(given, key.encode())


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
