"""What an effect on an image is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cv2.typing import MatLike

from dd_ray.mllibs.torch.augment_params import Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an effect is told besides the image."""

    augmentation: Augmentation
    rng: np.random.Generator
    rgb: bool
    """Whether channels are red, green, blue; else blue, green, red."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Which images an effect is for, and what is logged where one is not."""

    met: Callable[[MatLike], bool]
    otherwise: str


ANY = Requirement(lambda image: True, "")
SQUARE = Requirement(
    lambda image: image.shape[0] == image.shape[1],
    "rotate is not applied to images whose width and height differ",
)
EIGHT_BIT = Requirement(
    lambda image: image.dtype == np.uint8 and image.shape[2] in (1, 3),
    "noise and distort are applied to 8-bit images of one or three channels only",
)
COLOUR = Requirement(
    lambda image: image.dtype == np.uint8 and image.shape[2] == 3,
    "effects on colours are applied to 8-bit images of three channels only",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of the table of effects."""

    name: str
    """The parameter that turns it on."""
    apply: Callable[[MatLike, Setting], MatLike]
    """A new image for an image [H, W, C], which it must not change."""
    needs: Requirement

    def __call__(self, image: MatLike, setting: Setting) -> MatLike:
        """The image [H, W, C] with the effect: OpenCV drops the axis of a single channel."""
        changed = self.apply(image, setting)
        return changed if changed.ndim == 3 else changed[:, :, np.newaxis]
