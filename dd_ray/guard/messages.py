"""What clients are told of errors: their own words and ours, nothing of the machine's inside."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from dd_ray.settings import settings

_LONGEST = 4000
_TRACEBACK = "Traceback (most recent call last)"
_AT = re.compile(r'\s*File "[^"]*", line \d+(, in \S+)?')

_HIDDEN = "..."


def told(message: str) -> str:
    """A message as a client gets it: no stack, no paths of the installation, not too long.

    A message with paths that the client sent keeps those.

    >>> told('cannot read /data/x.csv')
    'cannot read /data/x.csv'
    """
    before, stack, after = message.partition(_TRACEBACK)
    if stack:  # its last line says what happened
        lines = [line for line in after.splitlines() if line.strip()]
        message = f"{before}{lines[-1].strip() if lines else ''}"
    message = _AT.sub("", message)
    message = _inside(str(settings().home)).sub(_HIDDEN, message)
    if len(message) <= _LONGEST:
        return message
    return f"{message[:_LONGEST]}{_HIDDEN}"


@lru_cache(maxsize=4)
def _inside(home: str) -> re.Pattern[str]:
    """Paths of the installation, of the server's own files and of Ray's."""
    package = str(Path(__file__).parents[1])
    installed = [f"{at}/{part}" for at in (sys.prefix, sys.base_prefix) for part in ("lib", "bin")]
    temporary = tempfile.gettempdir()
    own = [*installed, package, home, os.path.expanduser("~/.ray"), f"{temporary}/ray"]
    patterns = [re.escape(path) for path in own]
    patterns += [re.escape(f"{temporary}/{begin}") + "[^/]*" for begin in ("dd-ray-", "ddr-")]
    return re.compile(rf"(?:{'|'.join(patterns)})(?:/[^\s'\":,;)\]]*)?(?![\w.-])")
