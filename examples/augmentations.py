"""A contact sheet of image augmentation: what each effect does to a picture, in a PNG.

    python examples/augmentations.py [augmentations.png]

Needs scikit-image for the picture. Below the effects are images as a training sees them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from dd_ray.mllibs.torch.augment import EFFECTS, augment
from dd_ray.mllibs.torch.augment_effect import Setting
from dd_ray.mllibs.torch.augment_params import AugmentationFields

SIDE = 160
CROP = 128
TRAINING: dict[str, Any] = {
    "crop_size": CROP,
    "mirror": True,
    "rotate": True,
    "cutout": 0.3,
    "geometry": {"prob": 0.5},
    "noise": {"prob": 0.05, "all_effects": True},
    "distort": {"prob": 0.5, "all_effects": True, "random_order": False},
}
"""`parameters.mllib` of the images at the bottom."""

Image = NDArray[Any]


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "augmentations.png")
    photograph: Image = astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no types
    picture = cv2.resize(photograph, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cells = [labelled("the picture", [picture] * 2)]
    cells += [labelled(name, drawn(name, picture)) for name in EFFECTS.names()]
    cells += [
        labelled(f"geometry, {mode}", drawn("geometry", picture, geometry={"pad_mode": mode}))
        for mode in ("constant", "repeat_nearest")
    ]
    rows = [np.hstack(cells[i : i + 4]) for i in range(0, len(cells), 4)]
    sheet = np.vstack([*rows, trainings(picture, width=rows[0].shape[1])])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{len(EFFECTS.names())} effects, each drawn twice: {path}")


def drawn(name: str, picture: Image, **mllib: Any) -> list[Image]:
    """The two of some draws of an effect that differ most from the picture and each other."""
    augmentation = AugmentationFields.merge({"crop_size": CROP}, mllib).augmentation
    rng = np.random.default_rng(0)
    setting = Setting(augmentation=augmentation, rng=rng, rgb=True)
    draws = [np.asarray(EFFECTS.find(name)(picture, setting)) for _ in range(12)]
    first = max(draws, key=lambda draw: distance(draw, picture))
    return [first, max(draws, key=lambda d: min(distance(d, picture), distance(d, first)))]


def distance(one: Image, other: Image) -> float:
    """How much two images differ at each pixel, at the size of the smaller."""
    height, width = np.minimum(one.shape, other.shape)[:2]
    difference = one[:height, :width].astype(float) - other[:height, :width]
    return float(np.abs(difference).mean())


def trainings(picture: Image, *, width: int) -> Image:
    """Rows of images with all effects at the probabilities of a training."""
    augmentation = AugmentationFields.merge(TRAINING).augmentation
    rng = np.random.default_rng(1)
    tiles = [framed(augment(picture, augmentation, rng, rgb=True)) for _ in range(16)]
    columns = width // tiles[0].shape[1]
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    title = band("crop_size, mirror, rotate, cutout, geometry, noise and distort together", width)
    return np.vstack([title, *rows])


def labelled(name: str, images: list[Image]) -> Image:
    """The images side by side under their name."""
    tiles = np.hstack([framed(image) for image in images])
    return np.vstack([band(name, tiles.shape[1]), tiles])


def framed(image: Image) -> Image:
    """The image in the middle of a white tile."""
    top, left = (SIDE - image.shape[0]) // 2, (SIDE - image.shape[1]) // 2
    sides = (SIDE - image.shape[0] - top, SIDE - image.shape[1] - left)
    return cv2.copyMakeBorder(
        image,
        top + 2,
        sides[0] + 2,
        left + 2,
        sides[1] + 2,
        cv2.BORDER_CONSTANT,
        value=(255, 255, 255),
    )


def band(text: str, width: int) -> Image:
    """White with a text on it."""
    blank = np.full((24, width, 3), 255, np.uint8)
    return cv2.putText(
        blank, text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
    )


if __name__ == "__main__":
    main()
