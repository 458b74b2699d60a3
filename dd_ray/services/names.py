"""The names that services may have."""

from __future__ import annotations

import unicodedata

from dd_ray.errors import BadRequest

MAX_NAME = 128

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def service_name(raw: str) -> str:
    """A name as the server keeps it: ASCII letters in lower case, as DeepDetect does.

    Raises BadRequest for names that are empty, too long, or hold `/` or control characters.

    >>> service_name("MyServ-É")
    'myserv-É'
    """
    if not raw or len(raw) > MAX_NAME:
        raise BadRequest(f"service: a name has 1 to {MAX_NAME} characters, got {len(raw)}")
    if "/" in raw or any(unicodedata.category(c) in ("Cc", "Cs") for c in raw):
        raise BadRequest(f"service: a name has no '/' and no control characters, got {raw[:80]!r}")
    return raw.translate(_LOWER)
