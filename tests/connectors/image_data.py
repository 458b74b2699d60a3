"""Small images for the tests of the image connector, and calls of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image import IMAGE, ImageParams
from dd_ray.connectors.image_state import ImageState
from dd_ray.data import ImageBatch

Image = NDArray[np.uint8]


def picture(rows: int = 6, cols: int = 8, *, seed: int = 0) -> Image:
    """Random blue, green and red, smooth as photographs are."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (3, 3, 3), np.uint8)
    return np.asarray(cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def plain(blue: int, green: int, red: int, *, rows: int = 6, cols: int = 8) -> Image:
    return np.full((rows, cols, 3), (blue, green, red), np.uint8)


def encoded(image: Any, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


def in_base64(image: Any) -> str:
    return base64.b64encode(encoded(image)).decode()


def save(path: Path, image: Any | None = None) -> str:
    """Writes an image in the format of the name's ending, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture() if image is None else image, path.suffix))
    return str(path)


def train(
    *data: str, classes: int | None = 2, scratch: Path = Path("/nowhere"), **given: Any
) -> Any:
    return IMAGE.dataset(
        data, ImageParams.merge(given), scratch=scratch, missing_ok=False, classes=classes
    )


def read(
    *data: str, state: ImageState | None = None, labelled: bool = False, **given: Any
) -> ImageBatch:
    return IMAGE.read(data, ImageParams.merge(given), state, labelled=labelled, missing_ok=False)
