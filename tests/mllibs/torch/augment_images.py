"""Images to augment, and effects applied to them by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.mllibs.torch.augment import EFFECTS
from dd_ray.mllibs.torch.augment_effect import Setting
from dd_ray.mllibs.torch.augment_params import Augmentation, AugmentationFields

Image = NDArray[Any]


def augmentation(**mllib: Any) -> Augmentation:
    """What those parameters of `parameters.mllib` decide."""
    return AugmentationFields.merge(mllib).augmentation


def effect(name: str, image: Image, *, seed: int = 0, rgb: bool = True, **mllib: Any) -> Image:
    """The image with one effect of the table."""
    setting = Setting(augmentation=augmentation(**mllib), rng=np.random.default_rng(seed), rgb=rgb)
    return np.asarray(EFFECTS.find(name)(image, setting))


def colours(height: int = 32, width: int = 32, *, seed: int = 0) -> Image:
    """Patches [H, W, 3] of random colours, each of 4x4 pixels."""
    patches = np.random.default_rng(seed).integers(20, 230, (-(-height // 4), -(-width // 4), 3))
    grown = patches.repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    return np.ascontiguousarray(grown[:height, :width])


def gray(height: int = 32, width: int = 32) -> Image:
    """The same [H, W, 1] in grays."""
    return np.ascontiguousarray(colours(height, width)[:, :, :1])


def plain(value: int, *, channels: int = 3, size: int = 32) -> Image:
    """One colour [H, W, C]."""
    return np.full((size, size, channels), value, np.uint8)
