"""What the workers of one training tell each other; one that is alone tells nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from dd_ray.data import Floats
from dd_ray.mllibs.team import Team
from dd_ray.mllibs.torch.network import TracedNetwork


class Together:
    """A network whose gradients are means over all workers.

    All make the same calls in the same order. Every worker begins with the leader's weights.
    """

    def __init__(self, team: Team, network: torch.nn.Module, device: torch.device) -> None:
        self.team = team
        self._plain = network
        self._device = device
        self._shared = None if team.alone else _shared(network, device)

    def __call__(self, inputs: torch.Tensor) -> Any:
        return (self._shared or self._plain)(inputs)

    def passing(self, *, last: bool) -> AbstractContextManager[object]:
        """Around the passes of an update: gradients are made means in the last one."""
        if self._shared is None or last:
            return nullcontext()
        return self._shared.no_sync()

    def agreed(self, flag: bool) -> bool:
        """The leader's word."""
        if self.team.alone:
            return flag
        told = torch.tensor([int(flag)], device=self._device)
        distributed.broadcast(told, 0)
        return bool(told.item())

    def mean(self, value: torch.Tensor) -> float:
        """The mean of a number over all workers."""
        if not self.team.alone:
            distributed.all_reduce(value)
            value = value / self.team.size
        return float(value)

    def level(self) -> None:
        """Gives every worker the leader's running statistics, of its batches."""
        if not self.team.alone:
            for buffer in self._plain.buffers():
                distributed.broadcast(buffer, 0)

    def range_of(self, count: int) -> tuple[int, int]:
        """First and end of this worker's part of so many examples."""
        size, rank = self.team.size, self.team.rank
        return count * rank // size, count * (rank + 1) // size

    def joined(self, parts: list[Floats]) -> Floats | None:
        """All examples [N, ...] out of each worker's part, for the leader."""
        own = np.concatenate(parts) if parts else None
        if self.team.alone:
            return own
        every: list[Any] | None = [None] * self.team.size if self.team.leads else None
        distributed.gather_object(own, every)
        return None if every is None else np.concatenate([a for a in every if a is not None])


def _shared(network: torch.nn.Module, device: torch.device) -> DistributedDataParallel:
    return DistributedDataParallel(
        network,
        device_ids=[device] if device.type == "cuda" else None,
        # a script may have weights that its forward does not use
        find_unused_parameters=isinstance(network, TracedNetwork),
    )
