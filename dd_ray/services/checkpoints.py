"""When a training makes a checkpoint, and how the next attempt finds it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from dd_ray.attempts import Attempt
from dd_ray.mllibs.spec import Checkpoint
from dd_ray.repository import Repository

logger = logging.getLogger(__name__)

_MARKER = "checkpoint.json"
_FOLDER = "at-"

_SHARE = 20
"""A checkpoint that takes a second is made every twenty at most, whatever the setting."""


class Checkpoints:
    """The checkpoints of one attempt.

    Each is a folder with the mllib's files, or what lies in the repository anyhow, and then a
    marker that names it: a process that dies in between leaves the checkpoint before.
    """

    def __init__(self, attempt: Attempt, *, every_s: float, clock: Callable[[], float]) -> None:
        self._attempt = attempt
        self._every_s = every_s
        self._clock = clock
        self._next = clock() + every_s
        marker = marker_of(attempt)
        self._folder = marker["folder"] if marker else ""
        self.found = checkpoint_of(attempt, marker)

    @property
    def due(self) -> bool:
        return self._clock() >= self._next

    def make(
        self,
        done: int,
        *,
        notes: Mapping[str, Any],
        save: Callable[[Repository], object] | None,
    ) -> None:
        """Raises LibraryError when it cannot be written; the one before stays then."""
        began = self._clock()
        own, before = self._attempt.own, self._folder
        folder = f"{_FOLDER}{done}" if save else ""
        if save is not None:
            save(self._attempt.folder(folder))
        marker = {"done": done, "folder": folder, "notes": notes}
        own.write(_MARKER, json.dumps(marker).encode())
        self._folder = folder
        if before and before != folder:  # only this one: a newer attempt may have others by now
            own.drop_folder(before)
        now = self._clock()
        self._next = now + max(self._every_s, _SHARE * (now - began))


def marker_of(attempt: Attempt) -> dict[str, Any] | None:
    """What says where the last checkpoint is, as JSON; None when there is none."""
    content = attempt.own.read(_MARKER)
    if content is None:
        return None
    marker: dict[str, Any] = json.loads(content)
    return marker


def checkpoint_of(attempt: Attempt, marker: Mapping[str, Any] | None) -> Checkpoint | None:
    """The checkpoint that a marker names, as a process of an attempt finds it."""
    if marker is None:
        return None
    folder = marker["folder"]
    return Checkpoint(
        done=marker["done"],
        folder=attempt.folder(folder) if folder else attempt.repository,
        notes=marker["notes"],
    )
