"""From a decoded image to what the network sees: size, crop, histogram, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from cv2.typing import MatLike

from dd_ray.data import Pixels
from dd_ray.errors import BadInput
from dd_ray.settings import settings

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams

_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


def read_flags(params: ImageParams) -> int:
    """How cv2 shall decode: channels B,G,R, or one, or those of the file."""
    if params.unchanged_data:
        return cv2.IMREAD_UNCHANGED
    return cv2.IMREAD_GRAYSCALE if params.bw else cv2.IMREAD_COLOR


def prepare(image: MatLike, params: ImageParams, *, name: str) -> Pixels:
    """Contiguous pixels [H, W, C] of an image [H, W] or [H, W, C] as it was decoded.

    The order is DeepDetect's: resize, crop, equalize the histogram, order the channels. Raises
    BadInput, which calls the image `name`.
    """
    try:
        image = _resized(image, params, name)
    except cv2.error as exc:
        raise BadInput(f"failed resizing image {name[:200]}") from exc
    if params.crops:
        image = _cropped(image, params, name)
    try:
        image = _coloured(image, params)
    except cv2.error as exc:
        channels = image.shape[2] if image.ndim == 3 else 1
        raise BadInput(
            f"failed converting image {name[:200]}: {channels} channels of {image.dtype}"
        ) from exc
    return cast(Pixels, np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None]))


def _resized(image: MatLike, params: ImageParams, name: str) -> MatLike:
    rows, cols = image.shape[:2]
    interpolation = _INTERPOLATIONS.get(params.interp, cv2.INTER_CUBIC)
    if params.fixed_size:
        _check_room(params.height, params.width, name)
        return cv2.resize(image, (params.width, params.height), interpolation=interpolation)
    side = max(params.width, params.height)
    if params.keeps_ratio:
        factor = scaled_factor(rows, cols, params)
    elif side > 0:
        factor = side / max(rows, cols)
    else:
        return image
    _check_room(rows * factor, cols * factor, name)
    # factors instead of a size, so that cv2 rounds and samples as in DeepDetect
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)
    if params.aspect_ratio_pad and not params.keeps_ratio:
        _check_room(side, side, name)
        return _padded(image, side)
    return image


def scaled_factor(rows: int, cols: int, params: ImageParams) -> float:
    """By which both sides are multiplied so that they fit scale_min and scale_max, in float32."""
    longer = np.float32(params.scale_max) / np.float32(max(rows, cols))
    shorter = np.float32(params.scale_min) / np.float32(min(rows, cols))
    return float(min(longer, shorter))


def _check_room(height: float, width: float, name: str) -> None:
    limit = settings().max_image_pixels
    if height * width > limit:
        raise BadInput(
            f"failed resizing image {name[:200]}: {width:.0f}x{height:.0f} pixels,"
            f" expected at most {limit}"
        )


def _padded(image: MatLike, side: int) -> MatLike:
    """Centred on a black square; an odd pixel goes to the bottom or to the right."""
    rows, cols = image.shape[:2]
    top, left = (side - rows) // 2, (side - cols) // 2
    return cv2.copyMakeBorder(
        image, top, side - rows - top, left, side - cols - left, cv2.BORDER_CONSTANT
    )


def _cropped(image: MatLike, params: ImageParams, name: str) -> MatLike:
    rows, cols = image.shape[:2]
    params.check_crop(cols, rows, of=name)
    top, left = (rows - params.crop_height) // 2, (cols - params.crop_width) // 2
    return image[top : top + params.crop_height, left : left + params.crop_width]


def _coloured(image: MatLike, params: ImageParams) -> MatLike:
    """Gray when `bw`, equalized, then R,G,B when `rgb`; else the channels stay B,G,R."""
    if params.bw and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if params.histogram_equalization:
        image = _equalized(image)
    if params.rgb:
        code = cv2.COLOR_BGR2RGB if image.ndim == 3 else cv2.COLOR_GRAY2RGB
        image = cv2.cvtColor(image, code)
    return image


def _equalized(image: MatLike) -> MatLike:
    """Of colours only the luminance, which keeps their balance."""
    if image.ndim == 2:
        return cv2.equalizeHist(image)
    luminance, red, blue = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    merged = cv2.merge([cv2.equalizeHist(luminance), red, blue])
    return cv2.cvtColor(merged, cv2.COLOR_YCrCb2BGR)
