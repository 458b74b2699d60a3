"""Image augmentation of a training: a table of random effects.

Effects are OpenCV and NumPy on the images' own uint8, without the interpreter lock where it
matters. torchvision's v2 transforms take 3 times as long for a perspective and 10 for a hue, and
do not have half of the effects.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import cast

import numpy as np
from cv2.typing import MatLike

from dd_ray.data import Pixels
from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch import augment_distort as distort
from dd_ray.mllibs.torch import augment_frame as frame
from dd_ray.mllibs.torch import augment_noise as noise
from dd_ray.mllibs.torch.augment_effect import ANY, COLOUR, EIGHT_BIT, SQUARE, Effect, Setting
from dd_ray.mllibs.torch.augment_geometry import geometry
from dd_ray.mllibs.torch.augment_params import Augmentation, crop_room
from dd_ray.registry import Registry

logger = logging.getLogger(__name__)

EFFECTS = Registry(
    [
        Effect("geometry", geometry, ANY),
        Effect("cutout", frame.cutout, ANY),
        Effect("crop_size", frame.crop, ANY),
        Effect("mirror", frame.mirror, ANY),
        Effect("rotate", frame.rotate, SQUARE),
        Effect("decolorize", noise.decolorize, COLOUR),
        Effect("gauss_blur", noise.gauss_blur, EIGHT_BIT),
        Effect("hist_eq", noise.hist_eq, EIGHT_BIT),
        Effect("clahe", noise.clahe, EIGHT_BIT),
        Effect("jpeg", noise.jpeg, EIGHT_BIT),
        Effect("erode", noise.erode, EIGHT_BIT),
        Effect("posterize", noise.posterize, EIGHT_BIT),
        Effect("inverse", noise.inverse, EIGHT_BIT),
        Effect("saltpepper", noise.saltpepper, EIGHT_BIT),
        Effect("convert_to_hsv", noise.convert_to_hsv, COLOUR),
        Effect("convert_to_lab", noise.convert_to_lab, COLOUR),
        Effect("brightness", distort.brightness, EIGHT_BIT),
        Effect("contrast", distort.contrast, EIGHT_BIT),
        Effect("saturation", distort.saturation, COLOUR),
        Effect("hue", distort.hue, COLOUR),
        Effect("random_order", distort.random_order, COLOUR),
    ],
    missing=BadParameter,
)
"""In the order in which they are applied."""


def augment(
    image: Pixels, augmentation: Augmentation, rng: np.random.Generator, *, rgb: bool
) -> Pixels:
    """The image [H, W, C] with the effects that chance picks, of the same kind, contiguous.

    The given image stays as it is, and is what comes back when nothing happens to it. Raises
    BadParameter when it is too small for a crop.
    """
    setting = Setting(augmentation=augmentation, rng=rng, rgb=rgb)
    probabilities = dict(augmentation.probabilities)
    changed: MatLike = image
    for effect in EFFECTS:
        probability = probabilities.get(effect.name, 0.0)
        if probability == 0 or rng.random() > probability:
            continue
        if effect.needs.met(changed):
            changed = effect(changed, setting)
        else:
            _log_once(effect.needs.otherwise)
    return cast(Pixels, np.ascontiguousarray(changed))


def center_crop(image: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of an image [H, W, C], `size` being height and width; raises BadParameter."""
    down, right = crop_room(image.shape[:2], size)
    top, left = down // 2, right // 2
    return image[top : top + size[0], left : left + size[1]].copy()


@lru_cache(maxsize=16)
def _log_once(message: str) -> None:
    logger.info(message)
