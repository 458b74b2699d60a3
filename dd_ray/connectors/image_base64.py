"""Bytes out of base64 as clients write it."""

from __future__ import annotations

import base64
import re

_DATA_URL = re.compile(r"\s*data:[^,]{0,200};base64,", re.IGNORECASE)
_STANDARD = str.maketrans("-_", "+/")


def from_base64(text: str) -> bytes | None:
    """What base64 stands for, None for a text that is none.

    Plain base64 is tried first; then line breaks, the URL-safe alphabet, a `data:` URL and missing
    padding are allowed.

    >>> from_base64("/+8="), from_base64("data:image/png;base64,_-\\n8"), from_base64("a.jpg")
    (b'\\xff\\xef', b'\\xff\\xef', None)
    """
    return _strict(text) or _strict(_plain(text))


def _plain(text: str) -> str:
    start = _DATA_URL.match(text)
    letters = "".join(text[start.end() if start else 0 :].split()).translate(_STANDARD)
    return letters + "=" * (-len(letters) % 4)


def _strict(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
