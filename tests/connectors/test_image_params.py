"""The parameters of the image connector and what a training keeps of them."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dd_ray.connectors.image import ImageParams
from dd_ray.connectors.image_state import ImageState
from dd_ray.data import Normalization
from dd_ray.errors import BadInput
from tests.connectors.image_data import read, save, train


def test_nothing_is_subtracted_unless_asked_and_images_are_227_wide() -> None:
    params = ImageParams.merge({})
    assert (params.width, params.height) == (227, 227)
    assert params.normalization == Normalization(scale=1.0, mean=(), std=(), rgb=False)


def test_mean_and_std_are_one_number_or_one_for_each_channel() -> None:
    params = ImageParams.merge({"mean": 128, "std": [1, 2.5, 3], "scale": 0.5, "rgb": True})
    assert params.normalization == Normalization(
        scale=0.5, mean=(128.0,), std=(1.0, 2.5, 3.0), rgb=True
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bbox": True}, "parameters.input.bbox: not supported yet"),
        ({"segmentation": True}, "parameters.input.segmentation: not supported yet"),
        ({"ctc": True}, "parameters.input.ctc: not supported yet"),
        ({"std": 0}, "parameters.input.std: expected numbers above 0"),
        ({"std": [1, -1, 1]}, "parameters.input.std: expected numbers above 0"),
        ({"scale": 0}, "parameters.input.scale: "),
        ({"scale_min": 0}, "parameters.input.scale_min: "),
        ({"scale_max": -5}, "parameters.input.scale_max: "),
        ({"crop_width": -1}, "parameters.input.crop_width: "),
        ({"crop_height": -1}, "parameters.input.crop_height: "),
        ({"db_width": -1}, "parameters.input.db_width: "),
        ({"width": 2**16 + 1}, "parameters.input.width: "),
        ({"width": 22.5}, "parameters.input.width: "),
        ({"bw": 1}, "parameters.input.bw: "),
        ({"mean": ["1"]}, "parameters.input.mean.0: "),
        ({"interp": 3}, "parameters.input.interp: "),
        ({"test_split": 1}, "parameters.input.test_split: "),
        (
            {"width": 100, "crop_width": 101, "crop_height": 1},
            "parameters.input.crop_width: Crop width must be less than or equal to width,"
            " got 101 with width 100",
        ),
        (
            {"height": 100, "crop_width": 100, "crop_height": 101},
            "parameters.input.crop_height: Crop height must be less than or equal to height,"
            " got 101 with height 100",
        ),
    ],
)
def test_a_wrong_parameter_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        ImageParams.merge(given)
    assert caught.value.message.startswith(message)


def test_a_crop_of_the_whole_image_and_half_a_crop_are_allowed() -> None:
    assert ImageParams.merge({"width": 9, "crop_width": 9, "crop_height": 9}).crops
    assert not ImageParams.merge({"width": 9, "crop_width": 10}).crops


@pytest.mark.parametrize(
    ("given", "keeps"),
    [
        ({}, False),
        ({"scaled": True}, True),
        ({"scale_min": 300}, True),
        ({"scale_max": 300}, True),
        ({"scale": 2.0}, False),
    ],
)
def test_a_bound_of_scaling_switches_it_on(given: dict[str, Any], keeps: bool) -> None:
    assert ImageParams.merge(given).keeps_ratio is keeps


@pytest.mark.parametrize(
    ("given", "channels"),
    [
        ({}, 3),
        ({"bw": True}, 1),
        ({"bw": True, "rgb": True}, 3),
        ({"unchanged_data": True}, None),
        ({"unchanged_data": True, "bw": True}, 1),
        ({"unchanged_data": True, "rgb": True}, 3),
    ],
)
def test_how_many_channels(given: dict[str, Any], channels: int | None) -> None:
    assert ImageParams.merge(given).channels == channels


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": [1, 2]}, "mean vector must be of size the number of channels (3), got 2"),
        ({"std": [1, 2, 3], "bw": True}, "std vector must be of size the number of channels (1)"),
    ],
)
def test_mean_and_std_that_do_not_match_the_channels(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    image = save(tmp_path / "a" / "1.png")
    with pytest.raises(BadInput) as training:
        train(str(tmp_path), **given)
    with pytest.raises(BadInput) as predicting:
        read(image, **given)
    assert message in training.value.message
    assert predicting.value.message == training.value.message


def test_unchanged_images_are_compared_with_mean_one_by_one(tmp_path: Path) -> None:
    image = save(tmp_path / "1.png")
    assert read(image, unchanged_data=True, mean=[1, 2, 3]).images[0].shape[2] == 3
    with pytest.raises(BadInput, match=r"mean vector .* channels \(3\), got 4 .*1\.png"):
        read(image, unchanged_data=True, mean=[1, 2, 3, 4])


def test_a_predict_call_takes_over_how_the_training_read_images(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png")
    trained_with: dict[str, Any] = {
        "width": 32,
        "height": 40,
        "crop_width": 16,
        "crop_height": 20,
        "bw": True,
        "mean": 128,
        "std": [2.0],
        "scale": 0.5,
        "interp": "area",
        "histogram_equalization": True,
    }
    _, state = train(str(tmp_path), test_split=0, seed=3, **trained_with)
    kept = ImageState.model_validate_json(state.model_dump_json())
    later = ImageParams.merge(kept.call_defaults(), {"mean": 7})
    assert later.preprocessing == ImageParams.merge(trained_with, {"mean": 7}).preprocessing
    assert later.seed == -1


def test_scaling_is_taken_over_only_where_there_was_some(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png")
    _, plain = train(str(tmp_path))
    _, scaled = train(str(tmp_path), scale_max=50)
    assert not ImageParams.merge(plain.call_defaults()).keeps_ratio
    later = ImageParams.merge(scaled.call_defaults())
    assert (later.keeps_ratio, later.scale_min, later.scale_max) == (True, 600, 50)


def test_what_has_no_effect_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = save(tmp_path / "1.png")
    with caplog.at_level(logging.INFO):
        read(image, cuda=True, keep_orig=True, bbox=False)
    assert caplog.messages == [
        "parameters.input.cuda has no effect here",
        "parameters.input.keep_orig has no effect here",
    ]


def test_documenting_needs_no_image_library() -> None:
    code = (
        "import sys\n"
        "from dd_ray.connectors.table import CONNECTORS\n"
        "CONNECTORS.find('image').params.model_json_schema()\n"
        "assert not {'cv2', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
