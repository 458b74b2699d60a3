"""Effects that make an image worse: blur, compression, fewer or other colours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from cv2.typing import MatLike

from dd_ray.mllibs.torch.augment_effect import Setting

_SALTPEPPER = 0.1
"""Part of the pixels that turn black or white."""

_SQUARE = np.ones((3, 3), np.uint8)
_POSTERIZED = (np.arange(256) // 64 * 64 + 32).astype(np.uint8)


def decolorize(image: MatLike, setting: Setting) -> MatLike:
    to_gray = cv2.COLOR_RGB2GRAY if setting.rgb else cv2.COLOR_BGR2GRAY
    return cv2.cvtColor(cv2.cvtColor(image, to_gray), cv2.COLOR_GRAY2BGR)


def gauss_blur(image: MatLike, _: Setting) -> MatLike:
    return cv2.GaussianBlur(image, (7, 7), 1.5)


def hist_eq(image: MatLike, setting: Setting) -> MatLike:
    """Each brightness as frequent as any other."""
    return _brightness_changed(image, cv2.equalizeHist, rgb=setting.rgb)


def clahe(image: MatLike, setting: Setting) -> MatLike:
    """Histogram equalization in each of 8x8 tiles, with limited contrast."""
    # made anew: an instance has buffers that threads must not share
    return _brightness_changed(image, cv2.createCLAHE(4.0, (8, 8)).apply, rgb=setting.rgb)


def jpeg(image: MatLike, setting: Setting) -> MatLike:
    """What is left after compression with a quality from 0 to 100."""
    swapped = setting.rgb and image.shape[2] == 3
    quality = int(setting.rng.integers(101))
    source = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if swapped else image
    _, encoded = cv2.imencode(".jpg", source, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if swapped else decoded


def erode(image: MatLike, _: Setting) -> MatLike:
    return cv2.erode(image, _SQUARE)


def posterize(image: MatLike, _: Setting) -> MatLike:
    """Four levels a channel."""
    return cv2.LUT(image, _POSTERIZED)


def inverse(image: MatLike, _: Setting) -> MatLike:
    return cv2.bitwise_not(image)


def saltpepper(image: MatLike, setting: Setting) -> MatLike:
    """Black or white pixels at random places, some of which coincide."""
    height, width, channels = image.shape
    count = int(_SALTPEPPER * height * width)
    places = setting.rng.integers(height * width, size=count)
    noisy = image.reshape(-1, channels).copy()
    noisy[places[: count // 2]] = 0
    noisy[places[count // 2 :]] = 255
    return noisy.reshape(image.shape)


def convert_to_hsv(image: MatLike, setting: Setting) -> MatLike:
    """Hue (0 to 179), saturation and value as the three channels."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2HSV if setting.rgb else cv2.COLOR_BGR2HSV)


def convert_to_lab(image: MatLike, setting: Setting) -> MatLike:
    """Lightness (0 to 255), a and b (both plus 128) as the three channels."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB if setting.rgb else cv2.COLOR_BGR2LAB)


def _brightness_changed(
    image: MatLike, change: Callable[[MatLike], MatLike], *, rgb: bool
) -> MatLike:
    """The image with its gray or its Y of YCrCb changed, whose colours stay."""
    if image.shape[2] == 1:
        return change(image)
    to, back = (
        (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB)
        if rgb
        else (cv2.COLOR_BGR2YCrCb, cv2.COLOR_YCrCb2BGR)
    )
    planes = cv2.cvtColor(image, to)
    changed = cv2.insertChannel(change(cv2.extractChannel(planes, 0)), planes, 0)
    return cv2.cvtColor(changed, back)
