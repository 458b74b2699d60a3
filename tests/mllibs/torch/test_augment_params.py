"""Parameters of image augmentation."""

from __future__ import annotations

from typing import Any

import pytest

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.augment import EFFECTS
from dd_ray.mllibs.torch.augment_params import (
    AugmentationFields,
    DistortParams,
    GeometryParams,
    NoiseParams,
)


def chances(**mllib: Any) -> dict[str, float]:
    """Effects that may happen, with their probabilities."""
    found = AugmentationFields.merge(mllib).augmentation.probabilities
    return {name: probability for name, probability in found if probability}


def test_nothing_is_on_by_default() -> None:
    assert chances() == {}
    assert chances(noise={"prob": 1.0}, distort={"prob": 1.0}) == {}


def test_each_effect_of_the_table_has_a_parameter() -> None:
    everything = {"prob": 0.25, "all_effects": True}
    found = chances(
        geometry=everything,
        cutout=0.5,
        crop_size=8,
        mirror=True,
        rotate=True,
        noise=everything,
        distort=everything,
    )
    assert list(found) == EFFECTS.names()
    assert [found[name] for name in ("cutout", "crop_size", "mirror", "rotate")] == [0.5, 1, 0.5, 1]
    assert {found[name] for name in found if name not in AugmentationFields.model_fields} == {0.25}


def test_one_flag_is_one_effect() -> None:
    assert chances(noise={"prob": 0.1, "erode": True}) == {"erode": 0.1}
    assert chances(distort={"prob": 0.1, "contrast": True}) == {"contrast": 0.1}


def test_all_effects_are_those_not_set_to_false() -> None:
    found = chances(noise={"prob": 0.1, "all_effects": True, "erode": False, "clahe": True})
    assert "erode" not in found
    assert len(found) == 10


@pytest.mark.parametrize("key", ["HUE", "hue"])
def test_hue_has_two_spellings(key: str) -> None:
    assert chances(distort={"prob": 1.0, key: True}) == {"hue": 1.0}


@pytest.mark.parametrize("key", ["random ordering", "random_order"])
def test_random_order_has_two_spellings(key: str) -> None:
    assert chances(distort={"prob": 1.0, key: True}) == {"random_order": 1.0}


def test_geometry_has_the_defaults_of_the_reference() -> None:
    params = GeometryParams.model_validate({})
    assert (params.prob, params.zoom_factor, params.persp_factor) == (0.0, 0.25, 0.25)
    assert params.persp_horizontal
    assert params.persp_vertical
    assert params.zoom_in
    assert params.zoom_out
    assert params.pad_mode == "mirrored"


@pytest.mark.parametrize(
    ("given", "meant"),
    [("constant", "constant"), ("CONSTANT", "constant"), ("wrap", "mirrored"), ("", "mirrored")],
)
def test_an_unknown_pad_mode_is_mirrored(given: str, meant: str) -> None:
    assert GeometryParams.model_validate({"pad_mode": given}).pad_mode == meant


@pytest.mark.parametrize(
    ("mllib", "field"),
    [
        ({"noise": {"prob": 1.5}}, "noise.prob"),
        ({"distort": {"prob": -0.1}}, "distort.prob"),
        ({"distort": {"HUE": 1}}, "distort.HUE"),
        ({"geometry": {"prob": 2}}, "geometry.prob"),
        ({"geometry": {"persp_factor": 0.5}}, "geometry.persp_factor"),
        ({"geometry": {"zoom_factor": -0.5}}, "geometry.zoom_factor"),
        ({"geometry": {"pad_mode": 3}}, "geometry.pad_mode"),
        ({"geometry": True}, "geometry"),
        ({"crop_size": -1}, "crop_size"),
        ({"crop_size": 2.5}, "crop_size"),
        ({"test_crop_samples": 0}, "test_crop_samples"),
        ({"cutout": 1.01}, "cutout"),
        ({"mirror": "yes"}, "mirror"),
    ],
)
def test_bad_values_are_refused_by_name(mllib: dict[str, Any], field: str) -> None:
    with pytest.raises(BadParameter, match=rf"parameters\.mllib\.{field}: "):
        AugmentationFields.merge(mllib)


def test_a_call_adds_to_what_the_creation_said() -> None:
    params = AugmentationFields.merge(
        {"noise": {"prob": 0.5, "erode": True}}, {"noise": {"inverse": True}, "mirror": True}
    )
    assert dict(params.augmentation.probabilities)["erode"] == 0.5
    assert dict(params.augmentation.probabilities)["inverse"] == 0.5
    assert params.mirror


def test_an_augmentation_is_a_value() -> None:
    mllib = {"crop_size": 8, "geometry": {"prob": 0.5}, "noise": {"prob": 1, "erode": True}}
    one, other = (AugmentationFields.merge(mllib).augmentation for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)


def test_output_size_is_that_of_the_crop() -> None:
    assert AugmentationFields.merge({}).output_size(30, 40) == (30, 40)
    assert AugmentationFields.merge({"crop_size": 30.0}).output_size(30, 40) == (30, 30)


def test_output_size_refuses_a_crop_larger_than_the_image() -> None:
    with pytest.raises(BadParameter, match=r"crop_size: 31x31 is larger than the image, 40x30"):
        AugmentationFields.merge({"crop_size": 31}).output_size(30, 40)


@pytest.mark.parametrize("model", [AugmentationFields, NoiseParams, DistortParams, GeometryParams])
def test_each_parameter_is_described(model: Any) -> None:
    assert all(field.description for field in model.model_fields.values())
