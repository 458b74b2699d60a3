"""The `image` input connector: its parameters, training sets and images to predict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from dd_ray.connectors.csv import Numbers
from dd_ray.connectors.image_state import ImageState
from dd_ray.connectors.spec import InputParams
from dd_ray.data import Dataset, ImageBatch, Normalization
from dd_ray.errors import BadInput
from dd_ray.params import Int

logger = logging.getLogger(__name__)

_SIZE = ("width", "height", "crop_width", "crop_height", "aspect_ratio_pad", "interp")
_COLOUR = ("bw", "rgb", "histogram_equalization", "unchanged_data", "mean", "std", "scale")
_WITHOUT_EFFECT = ("cuda", "keep_orig", "db", "db_width", "db_height", "align")


def _refuse_true(value: bool) -> bool:
    if value:
        raise PydanticCustomError("unsupported", "not supported yet")
    return value


def _refuse_zero(values: list[float]) -> list[float]:
    if any(value <= 0 for value in values):
        raise PydanticCustomError("positive", "expected numbers above 0")
    return values


Unsupported = Annotated[bool, AfterValidator(_refuse_true)]
Side = Annotated[Int, Field(le=2**16)]


class ImageParams(InputParams):
    """`parameters.input` of the `image` connector."""

    width: Side = Field(
        227,
        description="Resize images to width. 0 or less, alone: the longer side of the image is"
        " resized to height and the shorter in proportion; with height too: images keep their size",
    )
    height: Side = Field(227, description="Resize images to height; 0 or less as for width")
    crop_width: Int = Field(
        0, ge=0, description="Center crop images to width, after resizing; needs crop_height"
    )
    crop_height: Int = Field(
        0, ge=0, description="Center crop images to height, after resizing; needs crop_width"
    )
    bw: bool = Field(False, description="Treat images as black & white: one channel")
    rgb: bool = Field(
        False, description="Channels in the order red, green, blue instead of blue, green, red"
    )
    mean: Numbers = Field(
        default_factory=list,
        description="Pixel value to be subtracted: one, or one for each channel; default none",
    )
    std: Annotated[Numbers, AfterValidator(_refuse_zero)] = Field(
        default_factory=list,
        description="Standard deviation to divide by, after mean: one, or one for each channel;"
        " default none",
    )
    scale: float = Field(
        1.0, gt=0, description="Multiply the value of each pixel by a factor, before mean and std"
    )
    scaled: bool = Field(
        False,
        description="Resize in proportion, to scale_min and scale_max instead of width and height;"
        " implied by either of the two",
    )
    scale_min: float = Field(
        600, gt=0, le=2**16, description="Size of the shorter side, unless scale_max is passed"
    )
    scale_max: float = Field(1000, gt=0, le=2**16, description="Largest size of the longer side")
    aspect_ratio_pad: bool = Field(
        False,
        description="With one of width and height 0 or less: center the image on a black square",
    )
    interp: str = Field(
        "cubic",
        description="Image interpolation method: nearest, linear, area, lanczos4; anything else"
        " is cubic",
    )
    histogram_equalization: bool = Field(
        False, description="Whether to equalize the image histogram, in colour that of luminance"
    )
    unchanged_data: bool = Field(
        False,
        description="Keep the channels and 16 bits of image files, e.g. of audio spectrograms;"
        " images are still resized",
    )
    test_split: float = Field(0.0, ge=0, lt=1, description="Test split part of the dataset")
    shuffle: bool = Field(
        False, description="Whether to shuffle the training set, prior to splitting"
    )
    seed: Int = Field(-1, description="Shuffling seed for reproducible results, -1 for random")
    multi_label: bool = Field(
        False,
        description="Whether lists have a 0 or 1 for each class; implied by several values a line",
    )
    root_folder: str = Field("", description="Folder of the relative paths in list files")
    segmentation: Unsupported = Field(
        False, description="Whether a segmentation service; not supported yet"
    )
    bbox: Unsupported = Field(
        False, description="Whether an object detection service; not supported yet"
    )
    ctc: Unsupported = Field(
        False, description="Whether targets are sequences, as OCR requires; not supported yet"
    )
    align: bool = Field(False, description="For OCR only; accepted")
    db: bool = Field(
        False, description="Accepted: images are always decoded as they are needed, from files"
    )
    db_width: Int = Field(0, ge=0, description="Image width in a database; accepted")
    db_height: Int = Field(0, ge=0, description="Image height in a database; accepted")
    keep_orig: bool = Field(False, description="Accepted: files are there to be read again")
    cuda: bool = Field(False, description="Whether to resize on a GPU; accepted, done on the CPU")

    @model_validator(mode="after")
    def _check(self) -> ImageParams:
        """Refuses what cannot be, whatever the images are."""
        if self.crops and self.fixed_size:
            self.check_crop(self.width, self.height)
        return self

    @property
    def keeps_ratio(self) -> bool:
        """Whether images are resized to `scale_min` and `scale_max`."""
        return self.scaled or not self.model_fields_set.isdisjoint(("scale_min", "scale_max"))

    @property
    def fixed_size(self) -> bool:
        """Whether images are resized to `width` and `height`, whatever their own size."""
        return not self.keeps_ratio and self.width > 0 and self.height > 0

    @property
    def crops(self) -> bool:
        return self.crop_width > 0 and self.crop_height > 0

    @property
    def channels(self) -> int | None:
        """How many channels images have; None where that is up to the files."""
        if self.rgb:
            return 3
        if self.bw:
            return 1
        return None if self.unchanged_data else 3

    @property
    def normalization(self) -> Normalization:
        return Normalization(
            scale=self.scale, mean=tuple(self.mean), std=tuple(self.std), rgb=self.rgb
        )

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What says how an image is read, by its API names."""
        known = {name: getattr(self, name) for name in _SIZE + _COLOUR}
        if self.keeps_ratio:
            known |= {"scaled": True, "scale_min": self.scale_min, "scale_max": self.scale_max}
        return known

    def check_crop(self, width: int, height: int, *, of: str = "") -> None:
        """Raises BadInput when the crop is larger than a resized image, the one called `of`."""
        for side, size in (("width", width), ("height", height)):
            crop = getattr(self, f"crop_{side}")
            if crop > size:
                raise BadInput(
                    f"parameters.input.crop_{side}: Crop {side} must be less than or equal to"
                    f" {side}, got {crop} with {side} {size}{_of(of)}"
                )

    def check_channels(self, channels: int, *, of: str = "") -> None:
        """Raises BadInput unless mean and std are one number, or one for each channel."""
        for name in ("mean", "std"):
            count = len(getattr(self, name))
            if count > 1 and count != channels:
                raise BadInput(
                    f"parameters.input.{name}: {name} vector must be of size the number of"
                    f" channels ({channels}), got {count} numbers{_of(of)}"
                )

    def check_call(self) -> None:
        """Raises BadInput for mean and std that cannot be; logs what has no effect."""
        if self.channels is not None:
            self.check_channels(self.channels)
        _log_without_effect(tuple(n for n in _WITHOUT_EFFECT if n in self.model_fields_set))


class _Image:
    """The `image` connector; see InputConnector."""

    state = ImageState

    def dataset(
        self,
        data: Sequence[str],
        params: ImageParams,
        *,
        scratch: Path,
        missing_ok: bool,
        classes: int | None,
    ) -> tuple[Dataset, ImageState]:
        from dd_ray.connectors.image_training import training_set  # needs cv2

        return training_set(data, params, scratch=scratch, classes=classes)

    def read(
        self,
        data: Sequence[str],
        params: ImageParams,
        state: ImageState | None,
        *,
        labelled: bool,
        missing_ok: bool,
    ) -> ImageBatch:
        from dd_ray.connectors.image_predict import read_images  # needs cv2

        return read_images(data, params, state, labelled=labelled)

    def quick(self, data: Sequence[str]) -> bool:
        return False

    def learned(self, params: ImageParams, state: ImageState) -> dict[str, Any]:
        return {}


IMAGE = _Image()


def _of(name: str) -> str:
    return f" of image {name[:200]}" if name else ""


@lru_cache(maxsize=64)
def _log_without_effect(names: tuple[str, ...]) -> None:
    for name in names:
        logger.info("parameters.input.%s has no effect here", name)
