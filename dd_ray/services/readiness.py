"""Whether a server is ready, as GET /readyz answers it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from dd_ray.services.answer import Answer
from dd_ray.services.records import Readiness

logger = logging.getLogger(__name__)

_PATIENCE_S = 2.0
"""How long the state may take to answer; it takes a millisecond."""


async def readiness(asked: Awaitable[Readiness], *, patience_s: float = _PATIENCE_S) -> Answer:
    """Ready: the state answers, and each service of an earlier server was started or tried.

    A service that cannot predict is counted and no reason to send clients elsewhere: the others
    can. Only numbers are told, for nobody has to show a key.
    """
    try:
        found = await asyncio.wait_for(asked, patience_s)
    except Exception as exc:  # whatever it is, the state cannot be reached
        logger.warning("the state does not answer: %r", exc)
        return _answer({"state": False}, missing=["the state does not answer"])
    services = {"count": found.count, "ready": found.ready, "starting": found.starting}
    missing = []
    if found.starting:
        missing.append(f"{found.starting} of {found.count} services are being started")
    return _answer({"state": True, "services": services}, missing=missing)


def _answer(body: dict[str, Any], *, missing: list[str]) -> Answer:
    body |= {"ready": not missing, "missing": missing}
    if missing:
        return Answer(code=503, msg="ServiceUnavailable", body=body)
    return Answer(body=body)
