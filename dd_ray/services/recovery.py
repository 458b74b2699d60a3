"""What a starting server does with each job that the store holds."""

from __future__ import annotations

from enum import StrEnum

from dd_ray.services.schema import StoredJob


class Fate(StrEnum):
    """What becomes of a stored job."""

    GO_ON = "go on"
    """It had not ended: it waits for its turn again, or goes on."""
    HAND_OUT = "hand out"
    """It has ended and nobody has its report yet."""
    PAST = "past"
    """Only people may still look at it."""


def fate(stored: StoredJob, *, service_there: bool) -> Fate:
    """A job of a service that is gone is of the past, whatever became of it."""
    if not stored.held or not service_there:
        return Fate.PAST
    return Fate.HAND_OUT if stored.job.ended else Fate.GO_ON


def has_litter(stored: StoredJob, fate: Fate) -> bool:
    """Whether the job's folder was left in its repository and nobody will need it."""
    return stored.folder and fate is not Fate.GO_ON
