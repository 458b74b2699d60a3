"""Noise effects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.mllibs.torch.augment_images import Image, colours, effect, gray, plain


def ramp() -> Image:
    """All values from 0 to 255 [16, 16, 3], the same in each channel."""
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    return np.ascontiguousarray(values.repeat(3, axis=2))


def test_decolorized_images_are_gray_of_the_luma() -> None:
    result = effect("decolorize", colours(), rgb=True)
    assert np.all(result == result[:, :, :1])
    luma = colours() @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(result[:, :, 0] - luma).max() <= 1


def test_blur_is_a_gaussian_of_sigma_one_and_a_half() -> None:
    image = np.zeros((15, 15, 1), np.uint8)
    image[7] = 255
    kernel = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.5**2))
    result = effect("gauss_blur", image)[:, 7, 0].astype(float)
    assert result[4:11] == pytest.approx(255 * kernel / kernel.sum(), abs=1.5)
    assert result[:4].max() == 0


def test_equalized_images_use_all_of_the_range() -> None:
    dull = (gray(64, 64) // 8 + 100).astype(np.uint8)
    result = effect("hist_eq", dull)
    assert (result.min(), result.max()) == (0, 255)
    order = np.argsort(dull, axis=None, kind="stable")
    assert np.all(np.diff(result.ravel()[order].astype(int)) >= 0)


@pytest.mark.parametrize("name", ["hist_eq", "clahe"])
def test_equalization_is_of_brightness_and_keeps_gray_gray(name: str) -> None:
    dull = (gray(64, 64) // 8 + 100).astype(np.uint8).repeat(3, axis=2)
    result = effect(name, np.ascontiguousarray(dull)).astype(int)
    assert np.abs(result - result[:, :, :1]).max() <= 1
    assert result.std() > 1.3 * dull.std()


def test_clahe_is_local_with_limited_contrast() -> None:
    image = gray(64, 64)
    image[:32] //= 8
    result = effect("clahe", image)
    assert result[:24].std() > 1.5 * image[:24].std()
    assert result[:24].std() < effect("hist_eq", image[:24]).std()
    large = gray(160, 160)
    expected = cv2.createCLAHE(4, (8, 8)).apply(large)
    assert np.array_equal(effect("clahe", large)[:, :, 0], expected)


def test_jpeg_is_of_any_quality() -> None:
    image = gray(64, 64)
    errors = [np.abs(effect("jpeg", image, seed=s).astype(int) - image).mean() for s in range(40)]
    assert min(errors) < 2
    assert max(errors) > 10


def test_jpeg_is_what_decoding_gives_back() -> None:
    image = colours(64, 64)
    quality = int(np.random.default_rng(4).integers(101))
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert expected is not None
    assert np.array_equal(effect("jpeg", image, seed=4, rgb=False), expected)


def test_erosion_takes_the_least_of_each_neighbourhood() -> None:
    image = plain(200, channels=1, size=9)
    image[4, 4] = 10
    result = effect("erode", image)[:, :, 0]
    assert np.all(result[3:6, 3:6] == 10)
    assert np.sum(result == 10) == 9
    assert np.sum(result == 200) == 72


def test_posterized_images_have_four_levels() -> None:
    result = effect("posterize", ramp())
    assert np.array_equal(result, ramp() // 64 * 64 + 32)
    assert np.unique(result).tolist() == [32, 96, 160, 224]


def test_inverse_is_the_negative() -> None:
    assert np.array_equal(effect("inverse", ramp()), 255 - ramp())
    assert np.array_equal(effect("inverse", effect("inverse", colours())), colours())


def test_salt_and_pepper_are_a_tenth_of_the_pixels() -> None:
    image = plain(100, size=200)
    result = effect("saltpepper", image)
    changed = (result != image).any(axis=2)
    assert changed.mean() == pytest.approx(0.1, abs=0.007)
    assert set(np.unique(result[changed])) == {0, 255}
    assert np.all(result[changed] == result[changed][:, :1])
    assert np.mean(result[changed] == 255) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("colour", "hsv"), [((255, 0, 0), (0, 255, 255)), ((0, 0, 128), (120, 255, 128))]
)
def test_hsv_is_hue_saturation_value(
    colour: tuple[int, int, int], hsv: tuple[int, int, int]
) -> None:
    image = np.array(colour, np.uint8).reshape(1, 1, 3)
    assert tuple(effect("convert_to_hsv", image)[0, 0]) == hsv


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (255, 128, 128)),
        ((0, 0, 0), (0, 128, 128)),
        ((255, 0, 0), (136, 208, 195)),
    ],
)
def test_lab_is_lightness_and_two_colours(
    colour: tuple[int, int, int], lab: tuple[int, int, int]
) -> None:
    image = np.array(colour, np.uint8).reshape(1, 1, 3)
    assert effect("convert_to_lab", image)[0, 0].tolist() == pytest.approx(lab, abs=1)
