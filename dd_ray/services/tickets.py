"""Predict calls on their way through a batcher, and how many there may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from dd_ray.errors import TimedOut
from dd_ray.services.answer import Rendered
from dd_ray.services.pipeline import Prepared

Done = Callable[[Rendered], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may queue, and how much may go into one batch."""

    rows: int = 512
    """Most rows of joined calls; a call with more is a batch of its own."""
    waiting: int = 1000
    """Most calls that may wait; past it they are refused at once."""
    wait_s: float = 0.0
    """How long a batch may wait for more calls."""
    timeout_s: float = 0.0
    """How long a call may take before it is answered that it took too long; 0 is no limit."""


def took_too_long(limit_s: float) -> TimedOut:
    """The answer to a call whose time is over."""
    return TimedOut(f"the prediction took longer than {limit_s:g} s (DD_RAY_PREDICT_TIMEOUT_S)")


class Ticket:
    """A call on its way. `cancel` when nobody waits for the answer any more."""

    __slots__ = ("began", "cancelled", "done", "expired", "prepared", "queued", "timer")

    def __init__(self, done: Done) -> None:
        self.done = done
        self.cancelled = False
        self.expired = False
        """Whether it was answered already, because its time was over."""
        self.timer: asyncio.TimerHandle | None = None
        self.began = time.perf_counter()
        self.queued = 0.0
        self.prepared: Prepared | None = None

    def cancel(self) -> None:
        self.cancelled = True
