"""Perspective, zoom and translation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dd_ray.mllibs.torch.augment_geometry import corners, zoom
from dd_ray.mllibs.torch.augment_params import GeometryParams
from tests.mllibs.torch.augment_images import Image, colours, effect

STILL: dict[str, Any] = {
    "persp_horizontal": False,
    "persp_vertical": False,
    "zoom_in": False,
    "zoom_out": False,
}


def moved(image: Image, *, seed: int = 0, **geometry: Any) -> Image:
    """The image with only those of geometry's options."""
    return effect("geometry", image, seed=seed, geometry={**STILL, **geometry})


def square(size: int = 100, side: int = 20) -> Image:
    """A white square in the middle of black."""
    image = np.zeros((size, size, 1), np.uint8)
    start = (size - side) // 2
    image[start : start + side, start : start + side] = 255
    return image


def white(image: Image) -> float:
    return float(image.sum() / 255)


def drawn(seed: int = 0, **geometry: Any) -> np.ndarray[Any, Any]:
    """Corners [4, 2] for geometry with only those options: TL, TR, BR, BL, each x and y."""
    params = GeometryParams.model_validate({**STILL, **geometry})
    return corners(params, np.random.default_rng(seed))


@pytest.mark.parametrize("shape", [(32, 32), (17, 40), (40, 17)])
def test_factors_of_zero_change_nothing(shape: tuple[int, int]) -> None:
    image = colours(*shape)
    factors = {"zoom_factor": 0, "persp_factor": 0, "transl_factor": 0}
    flags = dict.fromkeys([*STILL, "transl_horizontal", "transl_vertical"], True)
    assert np.array_equal(moved(image, **flags, **factors), image)
    assert np.array_equal(moved(image), image)


def test_zooming_in_makes_things_larger() -> None:
    for seed in range(10):
        shown = white(moved(square(), seed=seed, zoom_in=True))
        assert 400 < shown < 400 * 1.26**2


def test_zooming_out_makes_things_smaller() -> None:
    for seed in range(10):
        shown = white(moved(square(), seed=seed, zoom_out=True))
        assert 400 / 1.26**2 < shown < 400


def test_zooming_keeps_the_middle() -> None:
    for seed in range(6):
        result = moved(square(), seed=seed, zoom_in=True, zoom_out=True)
        assert np.array_equal(result, result[::-1, ::-1])


def test_either_zoom_happens_half_of_the_time() -> None:
    params = GeometryParams.model_validate({"zoom_factor": 0.5})
    rng = np.random.default_rng(0)
    factors = np.array([zoom(params, rng) for _ in range(2000)])
    assert np.mean(factors > 1) == pytest.approx(0.5, abs=0.04)
    assert factors.min() == pytest.approx(1 / 1.5, abs=0.01)
    assert factors.max() == pytest.approx(1.5, abs=0.01)


def test_seen_from_a_side_the_other_side_is_shorter() -> None:
    sides = set()
    for seed in range(20):
        shown = drawn(seed, persp_horizontal=True, persp_factor=0.3)
        left, right = shown[3, 1] - shown[0, 1], shown[2, 1] - shown[1, 1]
        assert 0.4 <= min(left, right) < 1
        assert max(left, right) == 1
        assert np.array_equal(shown[:, 0], [0, 1, 1, 0])
        sides.add("left" if left < right else "right")
    assert sides == {"left", "right"}


def test_seen_from_above_or_below_the_other_side_is_shorter() -> None:
    sides = set()
    for seed in range(20):
        shown = drawn(seed, persp_vertical=True, persp_factor=0.3)
        top, bottom = shown[1, 0] - shown[0, 0], shown[2, 0] - shown[3, 0]
        assert 0.4 <= min(top, bottom) < 1
        assert max(top, bottom) == 1
        assert np.array_equal(shown[:, 1], [0, 0, 1, 1])
        sides.add("top" if top < bottom else "bottom")
    assert sides == {"top", "bottom"}


def test_the_largest_perspective_does_not_fold_the_image() -> None:
    for seed in range(200):
        shown = drawn(seed, persp_horizontal=True, persp_vertical=True, persp_factor=0.33)
        edges = np.roll(shown, -1, axis=0) - shown
        following = np.roll(edges, -1, axis=0)
        assert np.all(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0)


def test_perspective_moves_the_corners_of_the_pixels() -> None:
    image = np.full((100, 100, 1), 255, np.uint8)
    shown = drawn(0, persp_horizontal=True) * 100
    result = moved(image, persp_horizontal=True, pad_mode="constant")
    side = 0 if shown[0, 1] > 0 else 99
    top, bottom = sorted(shown[[0, 3] if side == 0 else [1, 2], 1])
    lit = np.flatnonzero(result[:, side, 0] > 128)
    assert lit[0] == pytest.approx(top, abs=1.5)
    assert lit[-1] + 1 == pytest.approx(bottom, abs=1.5)


def test_translation_moves_all_corners_alike() -> None:
    shifts = []
    for seed in range(200):
        move = drawn(seed, transl_horizontal=True, transl_factor=0.4) - drawn()
        assert move[:, 0] == pytest.approx([move[0, 0]] * 4, abs=1e-6)
        assert np.all(move[:, 1] == 0)
        shifts.append(move[0, 0])
    assert min(shifts) == pytest.approx(-0.4, abs=0.03)
    assert max(shifts) == pytest.approx(0.4, abs=0.03)
    down = drawn(0, transl_vertical=True) - drawn()
    assert np.all(down[:, 0] == 0)
    assert np.all(down[:, 1] != 0)


@pytest.mark.parametrize(
    ("pad_mode", "edge"),
    [("constant", {0}), ("repeat_nearest", {200}), ("mirrored", {50, 200}), ("odd", {50, 200})],
)
def test_pad_modes_fill_what_is_around_the_image(pad_mode: str, edge: set[int]) -> None:
    image = np.full((60, 60, 1), 50, np.uint8)
    image[:2] = image[-2:] = image[:, :2] = image[:, -2:] = 200
    result = moved(image, seed=3, zoom_out=True, zoom_factor=1.0, pad_mode=pad_mode)
    rim = {int(value) for value in (result[0, 30, 0], result[:, 0, 0].max())}
    assert rim <= edge | {50}
    outermost = int(result[0, 0, 0])
    assert outermost == {"constant": 0, "repeat_nearest": 200}.get(pad_mode, 50)
