"""Parameters of image augmentation, under DeepDetect's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from dd_ray.errors import BadParameter
from dd_ray.mllibs.spec import MLLibParams
from dd_ray.params import Int, Params

PAD_MODES = ("mirrored", "constant", "repeat_nearest")


def _pad_mode(value: Any) -> Any:
    """DeepDetect takes any text, and mirrors where it does not know it."""
    if not isinstance(value, str):
        return value
    return value.lower() if value.lower() in PAD_MODES else PAD_MODES[0]


PadMode = Annotated[
    Literal["mirrored", "constant", "repeat_nearest"],
    BeforeValidator(_pad_mode, json_schema_input_type=str),
]


class EffectsParams(Params):
    """Effects that happen each on its own, with one probability; each flag is an effect."""

    prob: float = Field(0.0, ge=0, le=1, description="Probability of each effect")
    all_effects: bool = Field(
        False, description="Whether to apply the effects below that are not set to false"
    )

    @property
    def probabilities(self) -> tuple[tuple[str, float], ...]:
        """Names of the effects that are on, each with its probability."""
        flags = [name for name in type(self).model_fields if name not in EffectsParams.model_fields]
        chosen = {name: getattr(self, name) for name in flags}
        return tuple(
            (name, self.prob)
            for name, flag in chosen.items()
            if (self.all_effects if flag is None else flag)
        )


class NoiseParams(EffectsParams):
    """`parameters.mllib.noise`."""

    where: ClassVar[str] = "parameters.mllib.noise"

    decolorize: bool | None = Field(None, description="Whether to decolorize the image")
    gauss_blur: bool | None = Field(None, description="Whether to apply a Gaussian blur")
    hist_eq: bool | None = Field(None, description="Whether to equalize the histogram")
    clahe: bool | None = Field(None, description="Whether to equalize the histogram locally")
    jpeg: bool | None = Field(None, description="Whether to compress as JPEG of any quality")
    erode: bool | None = Field(None, description="Whether to erode the image")
    posterize: bool | None = Field(None, description="Whether to posterize the image")
    inverse: bool | None = Field(None, description="Whether to invert the image")
    saltpepper: bool | None = Field(None, description="Whether to apply salt and pepper")
    convert_to_hsv: bool | None = Field(None, description="Whether to convert to HSV")
    convert_to_lab: bool | None = Field(None, description="Whether to convert to LAB")


class DistortParams(EffectsParams):
    """`parameters.mllib.distort`."""

    where: ClassVar[str] = "parameters.mllib.distort"

    brightness: bool | None = Field(None, description="Whether to distort the brightness")
    contrast: bool | None = Field(None, description="Whether to distort the contrast")
    saturation: bool | None = Field(None, description="Whether to distort the saturation")
    hue: bool | None = Field(
        None,
        validation_alias=AliasChoices("HUE", "hue"),
        description="Whether to distort the hue; also spelled `hue`",
    )
    random_order: bool | None = Field(
        None,
        validation_alias=AliasChoices("random ordering", "random_order"),
        description="Whether to reorder the channels randomly; also spelled `random_order`",
    )


class GeometryParams(Params):
    """`parameters.mllib.geometry`: one random perspective."""

    where: ClassVar[str] = "parameters.mllib.geometry"

    prob: float = Field(0.0, ge=0, le=1, description="Probability of the effect")
    all_effects: bool = Field(
        False, description="Accepted; perspective and zoom are on where they are not set to false"
    )
    persp_horizontal: bool = Field(
        True, description="Whether to distort the perspective horizontally"
    )
    persp_vertical: bool = Field(True, description="Whether to distort the perspective vertically")
    transl_horizontal: bool = Field(False, description="Whether to move the image sideways")
    transl_vertical: bool = Field(False, description="Whether to move the image up or down")
    zoom_out: bool = Field(True, description="Whether to look from further away")
    zoom_in: bool = Field(True, description="Whether to look from closer by")
    zoom_factor: float = Field(
        0.25, ge=0, le=10, description="0.25 means that the image can be *1.25 or /1.25"
    )
    persp_factor: float = Field(
        0.25,
        ge=0,
        le=0.33,
        description="0.25 means that corners move by up to a quarter of the image; more than a"
        " third would fold it",
    )
    transl_factor: float = Field(
        0.5, ge=0, le=1, description="0.5 means that the image moves by up to half its size"
    )
    pad_mode: PadMode = Field(
        "mirrored",
        description="Filling around the image: mirrored, constant (black) or repeat_nearest;"
        " anything else is mirrored",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """All that is decided about a training's images before a random number is drawn."""

    probabilities: tuple[tuple[str, float], ...]
    """Of each effect that is on, by its name in the table of effects."""
    crop_size: int
    geometry: GeometryParams


class AugmentationFields(MLLibParams):
    """The parameters of image augmentation in `parameters.mllib`."""

    mirror: bool = Field(False, description="Whether to mirror half of the images, at random")
    rotate: bool = Field(
        False,
        description="Whether to rotate images by a random multiple of 90 degrees, where width and"
        " height are the same",
    )
    crop_size: Int = Field(
        0,
        ge=0,
        description="Size of random image crops as input to the net, at the centre in testing and"
        " prediction; 0 crops nothing",
    )
    test_crop_samples: Int = Field(
        1, ge=1, description="Accepted; testing takes one crop, at the centre"
    )
    cutout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability of filling a rectangle of 2 to 40 % of the image with noise",
    )
    noise: NoiseParams = Field(
        default_factory=lambda: NoiseParams.model_validate({}), description="Noise effects"
    )
    distort: DistortParams = Field(
        default_factory=lambda: DistortParams.model_validate({}), description="Colour effects"
    )
    geometry: GeometryParams = Field(
        default_factory=lambda: GeometryParams.model_validate({}),
        description="Perspective and zoom",
    )

    @property
    def augmentation(self) -> Augmentation:
        """What a training does to its images."""
        return Augmentation(
            probabilities=(
                ("geometry", self.geometry.prob),
                ("cutout", self.cutout),
                ("crop_size", 1.0 if self.crop_size else 0.0),
                ("mirror", 0.5 if self.mirror else 0.0),
                ("rotate", 1.0 if self.rotate else 0.0),
                *self.noise.probabilities,
                *self.distort.probabilities,
            ),
            crop_size=self.crop_size,
            geometry=self.geometry,
        )

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that the network gets of images of that size; raises BadParameter."""
        if not self.crop_size:
            return height, width
        size = (self.crop_size, self.crop_size)
        crop_room((height, width), size)
        return size


def crop_room(image: tuple[int, int], crop: tuple[int, int]) -> tuple[int, int]:
    """How far a crop can move down and to the right, all sizes being height and width.

    Raises BadParameter when the crop is larger than the image.
    """
    down, right = image[0] - crop[0], image[1] - crop[1]
    if down < 0 or right < 0:
        raise BadParameter(
            f"parameters.mllib.crop_size: {crop[1]}x{crop[0]} is larger than the image,"
            f" {image[1]}x{image[0]}"
        )
    return down, right
