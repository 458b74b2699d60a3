"""Effects of other light and other cameras on colours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from cv2.typing import MatLike

from dd_ray.mllibs.torch.augment_effect import Setting


def brightness(image: MatLike, setting: Setting) -> MatLike:
    """Up to 32 of 255 are added or taken away."""
    values = np.rint(np.arange(256) + setting.rng.uniform(-32, 32))
    return cv2.LUT(image, values.clip(0, 255).astype(np.uint8))


def contrast(image: MatLike, setting: Setting) -> MatLike:
    """Half to one and a half times the value."""
    return cv2.convertScaleAbs(image, alpha=setting.rng.uniform(0.5, 1.5))


def saturation(image: MatLike, setting: Setting) -> MatLike:
    """Half to one and a half times the saturation of HSV."""
    factor = setting.rng.uniform(0.5, 1.5)
    return _hsv_changed(
        image, 1, lambda plane: cv2.convertScaleAbs(plane, alpha=factor), rgb=setting.rgb
    )


def hue(image: MatLike, setting: Setting) -> MatLike:
    """Up to a fifth of the colour circle further, whose 180 steps are 2 degrees each."""
    turned = (np.arange(256) + setting.rng.integers(-36, 36, endpoint=True)) % 180
    table = turned.astype(np.uint8)
    return _hsv_changed(image, 0, lambda plane: cv2.LUT(plane, table), rgb=setting.rgb)


def random_order(image: MatLike, setting: Setting) -> MatLike:
    """The channels in any of the six orders."""
    return cv2.merge([cv2.extractChannel(image, int(i)) for i in setting.rng.permutation(3)])


def _hsv_changed(
    image: MatLike, channel: int, change: Callable[[MatLike], MatLike], *, rgb: bool
) -> MatLike:
    """The image with one channel of its HSV changed."""
    to, back = (
        (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB) if rgb else (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR)
    )
    planes = cv2.cvtColor(image, to)
    changed = cv2.insertChannel(change(cv2.extractChannel(planes, channel)), planes, channel)
    return cv2.cvtColor(changed, back)
