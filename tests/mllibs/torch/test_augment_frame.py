"""Effects on what is seen of an image: cutout, crop, mirror, rotation."""

from __future__ import annotations

import numpy as np
import pytest

from dd_ray.mllibs.torch.augment_frame import turned
from tests.mllibs.torch.augment_images import colours, effect, plain


def test_mirror_swaps_left_and_right() -> None:
    image = colours(6, 9)
    assert np.array_equal(effect("mirror", image), image[:, ::-1])
    assert np.array_equal(effect("mirror", effect("mirror", image)), image)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turns_are_counter_clockwise(quarters: int) -> None:
    image = colours(6, 9)
    assert np.array_equal(turned(image, quarters), np.rot90(image, quarters))


def test_all_four_rotations_are_as_likely() -> None:
    image = colours(8, 8)
    counts = [0, 0, 0, 0]
    for seed in range(1000):
        result = effect("rotate", image, seed=seed)
        same = [np.array_equal(result, np.rot90(image, k)) for k in range(4)]
        assert sum(same) == 1
        counts[same.index(True)] += 1
    assert counts == pytest.approx([250] * 4, abs=50)


def test_crops_are_parts_of_the_image_from_anywhere() -> None:
    image = np.arange(5 * 6, dtype=np.uint8).reshape(5, 6, 1)
    corners = set()
    for seed in range(300):
        result = effect("crop_size", image, seed=seed, crop_size=3)
        top, left = divmod(int(result[0, 0, 0]), 6)
        assert np.array_equal(result, image[top : top + 3, left : left + 3])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(3) for left in range(4)}


def test_cutouts_are_rectangles_of_two_to_forty_percent() -> None:
    image = plain(77, size=200)
    areas, shapes = [], []
    for seed in range(300):
        cut = (effect("cutout", image, seed=seed) != 77).any(axis=2)
        rows, columns = (np.flatnonzero(cut.any(axis=axis)) for axis in (1, 0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert cut.sum() > 0.98 * height * width
        areas.append(height * width / 200**2)
        shapes.append(height / width)
    assert 0.017 < min(areas) < 0.05
    assert 0.35 < max(areas) <= 0.4
    assert np.mean(areas) == pytest.approx(0.21, abs=0.02)
    assert 0.29 < min(shapes) < 0.4
    assert 2.5 < max(shapes) < 3.1


def test_cutouts_are_anywhere() -> None:
    image = plain(77, size=40)
    hits = sum((effect("cutout", image, seed=s) != 77).any(axis=2) for s in range(300))
    assert np.all(hits > 0)


def test_cutouts_are_filled_with_uniform_noise() -> None:
    image = plain(77, size=200)
    result = effect("cutout", image, seed=1)
    values = result[(result != 77).any(axis=2)]
    assert (values.min(), values.max()) == (0, 255)
    assert values.mean() == pytest.approx(127.5, abs=5)
    assert values.std() == pytest.approx(255 / 12**0.5, abs=3)
