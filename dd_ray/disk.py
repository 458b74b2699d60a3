"""Disks that are full."""

from __future__ import annotations

import errno

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(exc: OSError) -> bool:
    """Whether a write failed because there is no room, or none left for this user.

    >>> is_full(OSError(errno.ENOSPC, "")), is_full(OSError(errno.EACCES, ""))
    (True, False)
    """
    return exc.errno in _FULL
