"""In which order a training sees its examples: a pure function of seed and position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dd_ray.data import Ints


@dataclass(frozen=True, slots=True)
class Draw:
    """A batch to be: which examples, and how many were drawn before it."""

    position: int
    indices_B: Ints

    def generators(self, seed: int) -> Iterator[np.random.Generator]:
        """One for each example, for its augmentation: the same whichever thread draws it."""
        for offset in range(len(self.indices_B)):
            yield np.random.default_rng((seed, self.position + offset, 1))


def shuffled(count: int, size: int, *, seed: int, start: int = 0) -> Iterator[Draw]:
    """Endless batches of `size`, from the `start`-th on; each pass over the data is shuffled anew.

    Batches run over the end of a pass, so that all have the same size.

    >>> draws = shuffled(3, 2, seed=0)
    >>> sorted(next(draws).indices_B.tolist() + next(draws).indices_B.tolist()[:1])
    [0, 1, 2]
    """
    position = start * size
    passed = position // count
    order = _pass(count, seed, passed)
    while True:
        parts, wanted = [], size
        first = position - passed * count
        while wanted > len(order) - first:
            parts.append(order[first:])
            wanted -= len(order) - first
            passed, first = passed + 1, 0
            order = _pass(count, seed, passed)
        parts.append(order[first : first + wanted])
        yield Draw(position, np.concatenate(parts))
        position += size


def in_order(count: int, size: int, *, start: int = 0) -> Iterator[Draw]:
    """Batches of `size`, the last one shorter, through examples from `start` to `count` once."""
    for first in range(start, count, size):
        yield Draw(first, np.arange(first, min(first + size, count)))


def part_of(draws: Iterator[Draw], rank: int, size: int) -> Iterator[Draw]:
    """One worker's part of batches that `size` workers draw together.

    >>> both = [next(part_of(shuffled(9, 4, seed=0), rank, 2)) for rank in (0, 1)]
    >>> np.concatenate([draw.indices_B for draw in both]) - next(shuffled(9, 4, seed=0)).indices_B
    array([0, 0, 0, 0])
    """
    for draw in draws:
        each = len(draw.indices_B) // size
        first = rank * each
        yield Draw(draw.position + first, draw.indices_B[first : first + each])


def _pass(count: int, seed: int, passed: int) -> Ints:
    return np.random.default_rng((seed, passed, 0)).permutation(count)
