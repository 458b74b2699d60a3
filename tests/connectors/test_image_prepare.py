"""Size, crop, histogram and channels of an image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from dd_ray.connectors.image import ImageParams
from dd_ray.connectors.image_prepare import prepare, read_flags
from dd_ray.data import Pixels
from dd_ray.errors import BadInput
from tests.connectors.image_data import picture, plain

NATIVE = {"width": 0, "height": 0}


def prepared(image: Any, **given: Any) -> Pixels:
    return prepare(image, ImageParams.merge(given), name="it")


def refusal(image: Any, **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        prepared(image, **given)
    return caught.value.message


@pytest.mark.parametrize(
    ("size", "given", "expected"),
    [
        ((480, 640), {}, (227, 227)),
        ((480, 640), {"width": 300, "height": 200}, (200, 300)),
        ((480, 640), {"scaled": True}, (600, 800)),
        ((1200, 600), {"scaled": True}, (1000, 500)),
        ((480, 640), {"scale_min": 240}, (240, 320)),
        ((480, 640), {"scale_max": 320}, (240, 320)),
        ((480, 640), {"width": -1, "height": 320}, (240, 320)),
        ((480, 640), {"width": 320, "height": 0}, (240, 320)),
        ((640, 480), {"width": 320, "height": -1}, (320, 240)),
        ((480, 640), {"width": -1, "height": -1}, (480, 640)),
        ((480, 640), {"width": 0, "height": 0}, (480, 640)),
        ((480, 640), {"width": -1, "height": 320, "aspect_ratio_pad": True}, (320, 320)),
        ((480, 640), {"width": 32, "height": 20, "aspect_ratio_pad": True}, (20, 32)),
        ((480, 640), {"scaled": True, "width": -1, "aspect_ratio_pad": True}, (600, 800)),
        ((7, 7), {"width": -1, "height": 3}, (3, 3)),
    ],
)
def test_the_size(size: tuple[int, int], given: dict[str, Any], expected: tuple[int, int]) -> None:
    assert prepared(picture(*size), **given).shape == (*expected, 3)


@pytest.mark.parametrize(
    ("interp", "flag"),
    [
        ("nearest", cv2.INTER_NEAREST),
        ("linear", cv2.INTER_LINEAR),
        ("area", cv2.INTER_AREA),
        ("lanczos4", cv2.INTER_LANCZOS4),
        ("cubic", cv2.INTER_CUBIC),
        ("any other", cv2.INTER_CUBIC),
        (None, cv2.INTER_CUBIC),
    ],
)
def test_the_interpolation(interp: str | None, flag: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    expected = cv2.resize(image, (16, 12), interpolation=flag)
    assert np.array_equal(prepared(image, width=16, height=12, interp=interp), expected)


def test_padding_is_black_and_its_odd_pixel_at_the_end() -> None:
    wide = prepared(plain(9, 9, 9, rows=2, cols=5), width=5, height=-1, aspect_ratio_pad=True)
    assert wide[:, 0, 0].tolist() == [0, 9, 9, 0, 0]
    high = prepared(plain(9, 9, 9, rows=5, cols=2), width=5, height=-1, aspect_ratio_pad=True)
    assert high[0, :, 0].tolist() == [0, 9, 9, 0, 0]


def test_the_crop_is_at_the_centre_of_the_resized_image() -> None:
    image = picture(40, 60)
    crop = prepared(image, width=21, height=10, crop_width=8, crop_height=5)
    resized = cv2.resize(image, (21, 10), interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(crop, resized[2:7, 6:14])
    assert crop.flags.c_contiguous


def test_one_crop_size_alone_crops_nothing() -> None:
    assert prepared(picture(), width=20, height=20, crop_width=8).shape == (20, 20, 3)


@pytest.mark.parametrize("given", [NATIVE, {"scale_min": 6}, {"width": 8, "height": -1}])
def test_a_crop_larger_than_the_image_is_refused(given: dict[str, Any]) -> None:
    assert prepared(picture(6, 8), crop_width=8, crop_height=6, **given).shape == (6, 8, 3)
    assert refusal(picture(6, 8), crop_width=9, crop_height=1, **given) == (
        "parameters.input.crop_width: Crop width must be less than or equal to width, got 9 with"
        " width 8 of image it"
    )
    assert "Crop height must be" in refusal(picture(), crop_width=1, crop_height=7, **given)


def test_colours_are_blue_green_red_or_red_green_blue() -> None:
    image = plain(1, 2, 3)
    assert prepared(image, **NATIVE)[0, 0].tolist() == [1, 2, 3]
    assert prepared(image, rgb=True, **NATIVE)[0, 0].tolist() == [3, 2, 1]


def test_black_and_white_is_one_channel_or_three_equal_ones() -> None:
    gray = plain(10, 20, 30)[:, :, 0]
    assert prepared(gray, bw=True, **NATIVE).shape == (6, 8, 1)
    assert prepared(gray, bw=True, rgb=True, **NATIVE)[0, 0].tolist() == [10, 10, 10]


def test_colours_become_gray_where_the_file_was_read_unchanged() -> None:
    alpha = np.dstack([plain(10, 20, 30), plain(7, 7, 7)[:, :, 0]])
    expected = round(0.114 * 10 + 0.587 * 20 + 0.299 * 30)
    for image in (plain(10, 20, 30), alpha):
        pixels = prepared(image, bw=True, unchanged_data=True, **NATIVE)
        assert pixels[0, 0].tolist() == [expected]


def test_unchanged_images_keep_channels_and_depth() -> None:
    deep = np.full((6, 8, 4), 40_000, np.uint16)
    pixels = prepared(deep, unchanged_data=True, width=3, height=2)
    assert (pixels.shape, str(pixels.dtype), pixels.max()) == ((2, 3, 4), "uint16", 40_000)
    assert prepared(deep, unchanged_data=True, rgb=True).shape[2] == 3


def test_the_histogram_of_gray_is_spread() -> None:
    gray = np.repeat(np.array([[100, 110, 120, 130]], np.uint8), 4, axis=0)
    pixels = prepared(gray, bw=True, histogram_equalization=True, **NATIVE)
    assert pixels[0, :, 0].tolist() == [0, 85, 170, 255]


def test_the_histogram_of_colours_is_that_of_luminance() -> None:
    image = np.repeat(np.array([[[50, 100, 100], [50, 120, 120]]], np.uint8), 2, axis=0)
    pixels = prepared(image, histogram_equalization=True, **NATIVE)
    luminance = cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb)[0, :, 0].astype(int)
    assert luminance[1] - luminance[0] > 200
    assert (pixels[:, :, 0] < pixels[:, :, 2]).all(), "yellow stays yellow"
    red_first = prepared(image, histogram_equalization=True, rgb=True, **NATIVE)
    assert np.array_equal(red_first, pixels[:, :, ::-1])


def test_the_histogram_is_equalized_after_the_crop() -> None:
    gray = np.full((8, 8), 200, np.uint8)
    gray[2:6, 2:6] = np.array([[10, 20, 30, 40]] * 4)
    crop = prepared(
        gray, bw=True, histogram_equalization=True, crop_width=4, crop_height=4, **NATIVE
    )
    assert crop[0, :, 0].tolist() == [0, 85, 170, 255]


def test_the_histogram_of_16_bits_is_refused() -> None:
    deep = np.full((6, 8), 40_000, np.uint16)
    assert refusal(deep, unchanged_data=True, histogram_equalization=True) == (
        "failed converting image it: 1 channels of uint16"
    )


def test_an_image_too_thin_to_be_scaled_is_refused() -> None:
    assert refusal(picture(1, 5000), scaled=True) == "failed resizing image it"


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"width": 40_000, "height": 40_000}, "40000x40000"),
        ({"scale_min": 40_000, "scale_max": 40_000}, "40000x30000"),
        ({"width": 40_000, "height": -1}, "40000x30000"),
    ],
)
def test_an_image_resized_to_too_many_pixels_is_refused(given: dict[str, Any], size: str) -> None:
    assert refusal(picture(6, 8), **given) == (
        f"failed resizing image it: {size} pixels, expected at most 134217728"
    )


def test_padding_counts_too() -> None:
    message = refusal(picture(1, 80), width=40_000, height=-1, aspect_ratio_pad=True)
    assert "40000x40000 pixels" in message


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({}, cv2.IMREAD_COLOR),
        ({"bw": True}, cv2.IMREAD_GRAYSCALE),
        ({"bw": True, "unchanged_data": True}, cv2.IMREAD_UNCHANGED),
    ],
)
def test_how_cv2_decodes(given: dict[str, Any], flags: int) -> None:
    assert read_flags(ImageParams.merge(given)) == flags
