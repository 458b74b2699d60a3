"""Pixels out of an image file, refused by its header when there are too many."""

from __future__ import annotations

import os
from io import BytesIO
from typing import BinaryIO

import cv2
import numpy as np
from cv2.typing import MatLike
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from dd_ray.errors import BadInput
from dd_ray.settings import settings

# imported, because Pillow's search for plugins is not made for threads
_PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    TiffImagePlugin.TiffImageFile,
    PpmImagePlugin.PpmImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
FORMATS = [plugin.format for plugin in _PLUGINS]

Image.MAX_IMAGE_PIXELS = None  # Pillow only warns at first; our own limit is an error


def decode(source: str | bytes, *, flags: int, name: str) -> MatLike:
    """The image of a file, by its path or its content, [H, W] or [H, W, C]; flags are cv2's.

    Raises BadInput, which calls it `name`.
    """
    if isinstance(source, bytes):
        return _decode(BytesIO(source), flags=flags, name=name)
    if not os.path.isfile(source):  # a pipe would be waited for
        raise unreadable(name, "not a file")
    try:
        with open(source, "rb") as file:
            return _decode(file, flags=flags, name=name)
    except OSError as exc:
        raise unreadable(name, exc.strerror or str(exc)) from exc


def unreadable(name: str, reason: str) -> BadInput:
    """The error of an element of `data`, or of a training set, that is no image."""
    return BadInput(
        f"Could not read image(s): image could not be read or does not exist: {name[:200]}"
        f" ({reason})"
    )


def _decode(file: BinaryIO, *, flags: int, name: str) -> MatLike:
    width, height = _size(file, name)
    limit = settings().max_image_pixels
    if width * height > limit:
        raise unreadable(name, f"{width}x{height} pixels, expected at most {limit}")
    file.seek(0)
    # from memory, because there cv2 (4.12 and later) refuses a truncated file, of which it makes
    # a grey image when it is given the path
    encoded = np.frombuffer(file.read(), np.uint8)
    image: MatLike | None = cv2.imdecode(encoded, flags)
    if image is None:
        raise unreadable(name, "truncated or damaged")
    if image.dtype not in (np.uint8, np.uint16):
        raise unreadable(name, f"pixels are {image.dtype}, expected 8 or 16 bits")
    return image


def _size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height by the header, which is all that is read."""
    try:
        return Image.open(file, formats=FORMATS).size
    except Exception as exc:  # what Pillow raises on damaged headers is not a closed list
        raise unreadable(name, f"not a file of {', '.join(FORMATS)}, or damaged") from exc
