"""The order in which a training sees its examples."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from dd_ray.mllibs.torch.order import in_order, shuffled


@pytest.mark.parametrize(("count", "size"), [(7, 3), (7, 7), (7, 20), (1, 4), (100, 1)])
def test_each_pass_shows_every_example_once(count: int, size: int) -> None:
    draws = list(islice(shuffled(count, size, seed=3), 5 * count))
    assert all(len(draw.indices_B) == size for draw in draws)
    assert [draw.position for draw in draws[:3]] == [0, size, 2 * size]
    stream = np.concatenate([draw.indices_B for draw in draws])
    for passed in range(len(stream) // count):
        assert sorted(stream[passed * count : (passed + 1) * count]) == list(range(count))


def test_passes_differ_and_seeds_decide() -> None:
    first, second = (draw.indices_B.tolist() for draw in islice(shuffled(50, 50, seed=1), 2))
    assert first != second
    assert next(shuffled(50, 50, seed=1)).indices_B.tolist() == first
    assert next(shuffled(50, 50, seed=2)).indices_B.tolist() != first


@pytest.mark.parametrize("start", [1, 4, 11])
def test_a_later_start_is_the_same_stream(start: int) -> None:
    whole = list(islice(shuffled(10, 4, seed=5), start + 3))
    rest = list(islice(shuffled(10, 4, seed=5, start=start), 3))
    for a, b in zip(whole[start:], rest, strict=True):
        assert (a.position, a.indices_B.tolist()) == (b.position, b.indices_B.tolist())


def test_the_generators_of_an_example_depend_on_its_position_alone() -> None:
    """So that neither threads nor the batch size change an augmentation."""
    one, two = islice(shuffled(10, 4, seed=5), 2)
    (both,) = islice(shuffled(10, 8, seed=5), 1)
    drawn = [rng.random() for draw in (one, two) for rng in draw.generators(9)]
    assert drawn == [rng.random() for rng in both.generators(9)]
    assert len(set(drawn)) == 8


def test_in_order_goes_through_once() -> None:
    assert [draw.indices_B.tolist() for draw in in_order(5, 2)] == [[0, 1], [2, 3], [4]]
