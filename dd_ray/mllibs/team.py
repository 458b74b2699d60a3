"""The processes that train one model together, as each of them sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _own(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """The workers of a training; by default this process alone.

    All do the same steps on their part of the examples. The one of rank 0 leads: it alone writes
    the repository, reports, and says when to stop.
    """

    rank: int = 0
    size: int = 1
    on_node: int = 1
    """Workers on this machine, which share its CPUs."""
    host: str = "127.0.0.1"
    """The address of this machine."""
    share: Callable[[Any], Any] = _own
    """What the leader says: all call it, with anything small, and get the leader's value."""

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def threads(self, cpus: int) -> int:
        """How many threads this worker may use on a machine with so many CPUs.

        >>> Team(size=4, on_node=3).threads(8), Team(size=2, on_node=2).threads(1)
        (2, 1)
        """
        return max(cpus // self.on_node, 1)
