"""Augmentation of an image: the table of effects and how chance picks from it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch import augment as module
from dd_ray.mllibs.torch.augment import EFFECTS, augment, center_crop
from dd_ray.mllibs.torch.augment_effect import ANY, COLOUR
from dd_ray.mllibs.torch.augment_params import DistortParams, NoiseParams
from tests.mllibs.torch.augment_images import Image, augmentation, colours, effect, gray

TOP: dict[str, Any] = {
    "geometry": {"prob": 1.0},
    "cutout": 1.0,
    "crop_size": 12,
    "mirror": True,
    "rotate": True,
}
SQUARE_OF_12 = (12, 12)


def alone(name: str, prob: float = 1.0) -> dict[str, Any]:
    """`parameters.mllib` that turns on one effect of the table."""
    if name in TOP:
        return {name: TOP[name]}
    part = "noise" if name in NoiseParams.model_fields else "distort"
    spelled = {"hue": "HUE", "random_order": "random ordering"}.get(name, name)
    return {part: {"prob": prob, spelled: True}}


def augmented(image: Image, *, seed: int = 0, rgb: bool = True, **mllib: Any) -> Image:
    return augment(image, augmentation(**mllib), np.random.default_rng(seed), rgb=rgb)


EVERYTHING: dict[str, Any] = {
    **TOP,
    "noise": {"prob": 0.5, "all_effects": True},
    "distort": {"prob": 0.5, "all_effects": True},
}
each_effect = pytest.mark.parametrize("name", EFFECTS.names())


def test_effects_are_in_the_order_of_the_reference() -> None:
    flags = [*NoiseParams.model_fields, *DistortParams.model_fields]
    effects = [name for name in flags if name not in ("prob", "all_effects")]
    assert EFFECTS.names() == ["geometry", "cutout", "crop_size", "mirror", "rotate", *effects]


@each_effect
def test_each_effect_changes_images(name: str) -> None:
    image = colours()
    results = [augmented(image, seed=seed, **alone(name)) for seed in range(8)]
    assert any(not np.array_equal(result, image) for result in results)


@each_effect
@pytest.mark.parametrize("make", [colours, gray])
@pytest.mark.parametrize("height", [1, 12, 40])
def test_each_effect_keeps_the_kind_of_image(name: str, make: Any, height: int) -> None:
    if name == "crop_size" and height < 12:
        return
    image = make(height, 23)
    before = image.copy()
    result = augmented(image, **alone(name))
    size = SQUARE_OF_12 if name == "crop_size" else (height, 23)
    assert result.shape == (*size, image.shape[2])
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert np.array_equal(image, before)


@each_effect
def test_each_effect_is_a_function_of_the_seed(name: str) -> None:
    one, other = (augmented(colours(), seed=5, **alone(name)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [e.name for e in EFFECTS if e.needs is COLOUR])
def test_effects_on_colours_leave_gray_images(name: str) -> None:
    assert np.array_equal(augmented(gray(), **alone(name)), gray())


@pytest.mark.parametrize("name", [e.name for e in EFFECTS if e.name not in TOP])
def test_order_of_channels_does_not_matter_to_what_is_seen(name: str) -> None:
    if name == "random_order":
        return  # draws positions
    image = colours()
    of_rgb = effect(name, image, seed=3, rgb=True)
    of_bgr = effect(name, image[:, :, ::-1].copy(), seed=3, rgb=False)
    converted = name in ("convert_to_hsv", "convert_to_lab")
    assert np.array_equal(of_rgb, of_bgr if converted else of_bgr[:, :, ::-1])


def test_seeds_give_different_images() -> None:
    one, other = (augmented(colours(), seed=seed, **EVERYTHING) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_nothing_is_done_without_parameters() -> None:
    image = colours(13, 7)
    assert augmented(image) is image


@pytest.mark.parametrize(("prob", "low", "high"), [(0.0, 0, 0), (0.3, 0.26, 0.34), (1.0, 1, 1)])
def test_an_effect_happens_with_its_probability(prob: float, low: float, high: float) -> None:
    image, chosen = colours(4, 4), augmentation(**alone("inverse", prob))
    rng = np.random.default_rng(0)
    share = np.mean(
        [not np.array_equal(augment(image, chosen, rng, rgb=True), image) for _ in range(2000)]
    )
    assert low <= share <= high


def test_effects_happen_independently() -> None:
    image = np.full((1, 1, 3), 10, np.uint8)
    chosen = augmentation(noise={"prob": 0.5, "inverse": True, "posterize": True})
    rng = np.random.default_rng(0)
    values = [int(augment(image, chosen, rng, rgb=True)[0, 0, 0]) for _ in range(2000)]
    shares = [values.count(value) / 2000 for value in (10, 32, 245, 223)]
    assert shares == pytest.approx([0.25] * 4, abs=0.04)


def test_half_of_the_images_are_mirrored() -> None:
    image, chosen = colours(4, 8), augmentation(mirror=True)
    rng = np.random.default_rng(0)
    results = [augment(image, chosen, rng, rgb=True) for _ in range(1000)]
    assert np.mean([np.array_equal(r, image) for r in results]) == pytest.approx(0.5, abs=0.06)
    assert all(np.array_equal(r, image) or np.array_equal(r, image[:, ::-1]) for r in results)


def test_wide_images_are_not_rotated_which_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module._log_once.cache_clear()
    caplog.set_level(logging.INFO, logger=module.__name__)
    image = colours(8, 12)
    assert all(augmented(image, seed=seed, rotate=True) is image for seed in range(8))
    assert [record.message.split()[0] for record in caplog.records] == ["rotate"]


def test_square_crops_of_wide_images_are_rotated() -> None:
    image = np.arange(96, dtype=np.uint8).reshape(8, 12, 1)
    results = [augmented(image, seed=s, rotate=True, crop_size=8) for s in range(20)]
    falling = [bool(result[0, 0, 0] > result[-1, 0, 0]) for result in results]
    assert any(falling)
    assert not all(falling)


def test_images_of_sixteen_bits_are_moved_but_keep_their_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module._log_once.cache_clear()
    caplog.set_level(logging.INFO, logger=module.__name__)
    image = colours().astype(np.uint16) * 257
    noise = {"prob": 1.0, "inverse": True, "erode": True}
    results = [augmented(image, seed=s, mirror=True, noise=noise) for s in range(8)]
    assert all(result.dtype == np.uint16 for result in results)
    assert any(np.array_equal(result, image[:, ::-1]) for result in results)
    assert all(np.array_equal(np.sort(r, axis=1), np.sort(image, axis=1)) for r in results)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", [e.name for e in EFFECTS if e.needs is ANY])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_effects_on_places_take_sixteen_bits(name: str, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (20, 14, channels)).astype(np.uint16)
    results = [augmented(image, seed=seed, **alone(name)) for seed in range(8)]
    assert all(result.dtype == np.uint16 for result in results)
    assert all(result.shape[2] == channels for result in results)
    assert any(not np.array_equal(result, image) for result in results)


def test_all_effects_together_keep_the_kind_of_image() -> None:
    for seed in range(30):
        result = augmented(colours(30, 20), seed=seed, **EVERYTHING)
        assert result.shape == (*SQUARE_OF_12, 3)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous


def test_crops_larger_than_the_image_are_refused() -> None:
    with pytest.raises(BadParameter, match=r"parameters\.mllib\.crop_size: 9x9 .* image, 20x8"):
        augmented(colours(8, 20), crop_size=9)
    with pytest.raises(BadParameter, match=r"parameters\.mllib\.crop_size: 21x4 .* image, 20x8"):
        center_crop(colours(8, 20), (4, 21))


def test_center_crop_is_the_middle() -> None:
    image = np.arange(35, dtype=np.uint8).reshape(5, 7, 1)
    result = center_crop(image, (1, 3))
    assert result.ravel().tolist() == [16, 17, 18]
    assert result.flags.c_contiguous
    assert np.array_equal(center_crop(image, (5, 7)), image)
