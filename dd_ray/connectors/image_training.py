"""Sets of images as the dataset of a training."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dd_ray.connectors.image_files import ImageFiles, PictureCache
from dd_ray.connectors.image_sets import labelled_set, learn, locate
from dd_ray.connectors.image_state import ImageState
from dd_ray.data import Dataset, TestSet
from dd_ray.errors import BadInput
from dd_ray.settings import settings

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams

logger = logging.getLogger(__name__)


def training_set(
    data: Sequence[str], params: ImageParams, *, scratch: Path, classes: int | None
) -> tuple[Dataset, ImageState]:
    """The dataset of a training call and what was learned from its training set."""
    params.check_call()
    if len(data) > 1 and params.test_split:
        logger.info("test_split ignored: the call has test sets of its own")
    sources = [locate(item, params, scratch=scratch) for item in data]
    state = learn(sources[0], params, classes)
    cache = PictureCache(settings().image_cache_bytes)
    sets = []
    for source in sources:
        found = labelled_set(source, params, state)
        sets.append(
            ImageFiles(paths=found.paths, targets_NT=found.targets_NT, params=params, cache=cache)
        )
    train, held_out = _split(sets[0], params, with_tests=len(data) > 1)
    tests = [TestSet(name="split", examples=held_out)] if held_out else []
    for source, examples in zip(sources[1:], sets[1:], strict=True):
        tests.append(TestSet(name=source.name, examples=examples))
    dataset = Dataset(train=train, tests=tuple(tests), class_names=tuple(state.class_names))
    return dataset, state


def _split(
    examples: ImageFiles, params: ImageParams, *, with_tests: bool
) -> tuple[ImageFiles, ImageFiles | None]:
    count = len(examples)
    first = math.floor(count * (1 - (0.0 if with_tests else params.test_split)))
    order = np.arange(count)
    if params.shuffle:
        np.random.default_rng(params.seed if params.seed >= 0 else None).shuffle(order)
    if first == 0:
        raise BadInput(f"test_split {params.test_split:g} of {count} images leaves none to train")
    held_out = examples.select(order[first:]) if first < count else None
    return examples.select(order[:first]), held_out
