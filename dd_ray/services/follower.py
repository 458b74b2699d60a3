"""What a worker that does not lead its team sees of the world: nothing, so nobody hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Output
from dd_ray.mllibs.spec import Checkpoint
from dd_ray.mllibs.team import Team
from dd_ray.repository import Repository


class Follower:
    """The Run of such a worker. It begins where the leader does."""

    stopped = False
    checkpoint_due = False

    def __init__(self, team: Team, found: Checkpoint | None) -> None:
        self.team = team
        self.interrupted = found

    def checkpoint(
        self,
        done: int,
        *,
        notes: Mapping[str, Any],
        save: Callable[[Repository], object] | None = None,
    ) -> None:
        return None

    def begin(self, iterations: int, *, start: int = 0) -> None:
        return None

    def report(self, iteration: int, **values: float) -> None:
        return None

    def test(
        self,
        iteration: int,
        output: Output,
        targets_NT: NDArray[np.float64],
        *,
        test_set: int = 0,
        values: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        return {}
