"""Effects on which part of an image is seen and which way up."""

from __future__ import annotations

from math import sqrt

import cv2
import numpy as np
from cv2.typing import MatLike

from dd_ray.mllibs.torch.augment_effect import Setting
from dd_ray.mllibs.torch.augment_params import crop_room

_TURNS = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


def cutout(image: MatLike, setting: Setting) -> MatLike:
    """Noise in a rectangle of 2 to 40 % of the image (DeVries and Taylor 2017, arXiv:1708.04552).

    The rectangle is up to three times as high as wide, or the other way round.
    """
    rng = setting.rng
    height, width, channels = image.shape
    area = rng.uniform(0.02, 0.4) * height * width
    ratio = rng.uniform(0.3, 3.0)
    h, w = min(height, int(sqrt(area * ratio))), min(width, int(sqrt(area / ratio)))
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    noise = np.frombuffer(rng.bytes(h * w * channels * image.itemsize), image.dtype)
    cut = image.copy()
    cut[top : top + h, left : left + w] = noise.reshape(h, w, channels)
    return cut


def crop(image: MatLike, setting: Setting) -> MatLike:
    """A square anywhere in the image; raises BadParameter when the image is too small."""
    size = setting.augmentation.crop_size
    down, right = crop_room(image.shape[:2], (size, size))
    top, left = setting.rng.integers(down + 1), setting.rng.integers(right + 1)
    return image[top : top + size, left : left + size]


def mirror(image: MatLike, _: Setting) -> MatLike:
    return cv2.flip(image, 1)


def rotate(image: MatLike, setting: Setting) -> MatLike:
    return turned(image, int(setting.rng.integers(4)))


def turned(image: MatLike, quarters: int) -> MatLike:
    """The image turned counter-clockwise by 0 to 3 quarters of a full turn."""
    return cv2.rotate(image, _TURNS[quarters - 1]) if quarters else image
