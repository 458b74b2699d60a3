"""The effect that looks at an image from elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from dd_ray.mllibs.torch.augment_effect import Setting
from dd_ray.mllibs.torch.augment_params import GeometryParams

_BORDERS = {
    "mirrored": cv2.BORDER_REFLECT_101,
    "constant": cv2.BORDER_CONSTANT,
    "repeat_nearest": cv2.BORDER_REPLICATE,
}

_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
"""Top left, top right, bottom right, bottom left, in sizes of the image."""


def geometry(image: MatLike, setting: Setting) -> MatLike:
    """A random perspective, zoom and translation in one step; the size stays."""
    params = setting.augmentation.geometry
    height, width = image.shape[:2]
    size = np.array([width, height], np.float32)
    seen = (_CORNERS - 0.5) / zoom(params, setting.rng) + 0.5
    shown = corners(params, setting.rng)
    # a pixel's centre is at whole coordinates, so the image begins half a pixel before
    matrix = cv2.getPerspectiveTransform(seen * size - 0.5, shown * size - 0.5)
    return cv2.warpPerspective(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=_BORDERS[params.pad_mode],
    )


def zoom(params: GeometryParams, rng: np.random.Generator) -> np.float32:
    """How much larger things get: above 1 looks from closer by. In or out, where both are on."""
    if not (params.zoom_in or params.zoom_out):
        return np.float32(1)
    inwards = rng.random() < 0.5 if params.zoom_in and params.zoom_out else params.zoom_in
    factor = 1 + rng.uniform(0, params.zoom_factor)
    return np.float32(factor if inwards else 1 / factor)


def corners(params: GeometryParams, rng: np.random.Generator) -> NDArray[np.float32]:
    """Where the corners [4, 2] of the image go, in its sizes.

    Seen from one side, the corners of the other side come nearer to each other.
    """
    shown = _CORNERS.copy()
    if params.persp_horizontal:
        top, bottom = ((0, 3), (1, 2))[rng.integers(2)]
        move = rng.uniform(0, params.persp_factor)
        shown[top, 1] += move
        shown[bottom, 1] -= move
    if params.persp_vertical:
        left, right = ((0, 1), (3, 2))[rng.integers(2)]
        move = rng.uniform(0, params.persp_factor)
        shown[left, 0] += move
        shown[right, 0] -= move
    if params.transl_horizontal:
        shown[:, 0] += rng.uniform(-params.transl_factor, params.transl_factor)
    if params.transl_vertical:
        shown[:, 1] += rng.uniform(-params.transl_factor, params.transl_factor)
    return shown
