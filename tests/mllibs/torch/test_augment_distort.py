"""Distortions of colours."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import pytest

from tests.mllibs.torch.augment_images import Image, colours, effect, plain


def hsv(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)).astype(int)


def test_brightness_moves_all_values_by_up_to_32() -> None:
    moves = []
    for seed in range(300):
        change = effect("brightness", colours(8, 8), seed=seed).astype(int) - colours(8, 8)
        kept = change[(colours(8, 8) > 32) & (colours(8, 8) < 223)]
        assert np.unique(kept).size == 1
        moves.append(int(kept[0]))
    assert [min(moves), max(moves)] == pytest.approx([-31, 31], abs=1)
    assert np.mean(np.array(moves) > 0) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("value", [0, 255])
def test_brightness_ends_at_black_and_white(value: int) -> None:
    for seed in range(20):
        result = effect("brightness", plain(value, size=2), seed=seed)
        assert np.abs(result.astype(int) - value).max() <= 32


def test_contrast_multiplies_all_values_by_a_half_to_one_and_a_half() -> None:
    image = np.array([0, 50, 100, 150], np.uint8).reshape(2, 2, 1)
    factors = []
    for seed in range(300):
        result = effect("contrast", image, seed=seed).ravel().astype(float)
        assert result == pytest.approx(image.ravel() * (result[2] / 100), abs=1.5)
        factors.append(result[2] / 100)
    assert min(factors) == pytest.approx(0.5, abs=0.02)
    assert max(factors) == pytest.approx(1.5, abs=0.02)
    assert effect("contrast", plain(250), seed=int(np.argmax(factors))).min() == 255


def test_saturation_changes_by_half_and_keeps_hue_and_value() -> None:
    image = np.array([120, 90, 60], np.uint8).reshape(1, 1, 3)
    factors = []
    for seed in range(200):
        before, after = hsv(image)[0, 0], hsv(effect("saturation", image, seed=seed))[0, 0]
        assert abs(after[0] - before[0]) <= 2
        assert abs(after[2] - before[2]) <= 1
        factors.append(after[1] / before[1])
    assert min(factors) == pytest.approx(0.5, abs=0.04)
    assert max(factors) == pytest.approx(1.5, abs=0.04)


def test_hue_turns_by_up_to_72_degrees_and_keeps_the_rest() -> None:
    image = np.array([200, 100, 100], np.uint8).reshape(1, 1, 3)
    turns = set()
    for seed in range(500):
        before, after = hsv(image)[0, 0], hsv(effect("hue", image, seed=seed))[0, 0]
        assert np.abs(after[1:] - before[1:]).max() <= 1
        turn = int((after[0] - before[0] + 90) % 180 - 90)
        assert turn == pytest.approx(np.random.default_rng(seed).integers(-36, 37), abs=1)
        turns.add(turn)
    assert [min(turns), max(turns)] == pytest.approx([-36, 36], abs=1)


@pytest.mark.parametrize("name", ["saturation", "hue", "random_order"])
@pytest.mark.parametrize("value", [0, 7, 128, 255])
def test_gray_stays_gray(name: str, value: int) -> None:
    for seed in range(10):
        assert np.array_equal(effect(name, plain(value), seed=seed), plain(value))


def test_random_order_is_any_of_the_six() -> None:
    image = colours(4, 4)
    orders = [tuple(order) for order in permutations(range(3))]
    found = dict.fromkeys(orders, 0)
    for seed in range(600):
        result = effect("random_order", image, seed=seed)
        (order,) = (o for o in orders if np.array_equal(result, image[:, :, o]))
        found[order] += 1
    assert all(60 < count < 140 for count in found.values())
