"""Awaiting Ray calls so that the errors that come out are ours."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ray.exceptions import RayTaskError

from dd_ray.errors import ApiError


async def outcome(call: Awaitable[Any]) -> Any:
    """The result of a remote call; an ApiError raised there is raised here as itself."""
    try:
        return await call
    except RayTaskError as exc:
        if isinstance(exc.cause, ApiError):
            raise exc.cause from None
        raise
