"""Names on the cluster of the things that clients name."""

from __future__ import annotations

import hashlib
import re

SHARED_APP = "shared-services"
"""The Serve application of the services that share a process."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def app_name(service: str) -> str:
    """The Serve application of a service: its name where Serve can take it, else a digest.

    >>> app_name("my_service-1")
    's-my_service-1'
    >>> app_name("café")
    'x-850f7dc43910ff890f8879c0ed26fe697c93a067'
    """
    if is_plain(service):
        return f"s-{service}"
    return f"x-{hashlib.sha256(service.encode()).hexdigest()[:40]}"


def is_app_name(name: str) -> bool:
    """Whether a Serve application of that name is a service."""
    return name.startswith(("s-", "x-"))


def is_plain(service: str) -> bool:
    """Whether a name is written the same everywhere: in JSON, in paths, to Serve, to HAProxy."""
    return _PLAIN.fullmatch(service) is not None
