"""Calls to Ray's actors: awaiting them so that the errors are ours, and where an actor is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ray._private.state import actors
from ray.exceptions import RayActorError, RayTaskError

from dd_ray.errors import ApiError, Unavailable

_CALLS = 3
"""How often an actor is called that dies."""


async def outcome(call: Awaitable[Any]) -> Any:
    """The result of a remote call; an ApiError raised there is raised here as itself."""
    try:
        return await call
    except RayTaskError as exc:
        if isinstance(exc.cause, ApiError):
            raise exc.cause from None
        raise


async def insist(call: Callable[[], Awaitable[Any]], *, dies: str) -> Any:
    """The result of a remote call that changes nothing when it is sent twice.

    When the actor dies, of the one that takes its place; raises Unavailable, saying how it `dies`.
    """
    for _ in range(_CALLS):
        try:
            return await outcome(call())
        except RayActorError:
            continue
    raise Unavailable(dies)


def node_of(actor: Any) -> str:
    """The id of the node where an actor is, or was when it ended; empty when it has had none."""
    return str(actors(actor._actor_id.hex()).get("Address", {}).get("NodeID", ""))
