"""A labelled set of images, in a folder of class folders or in a list file, as paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image_folders import folder_set, images_below, learn_folder
from dd_ray.connectors.image_lists import image_paths, learn_list, list_targets, read_list
from dd_ray.connectors.image_state import ImageState
from dd_ray.connectors.source import existing_path, fetch, is_url
from dd_ray.errors import BadInput
from dd_ray.guard.paths import check
from dd_ray.locations import as_path

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or a list file; `name` is what the call said."""

    path: str
    name: str
    scratch: Path
    """Where what a list names may be fetched to."""

    @property
    def is_folder(self) -> bool:
        return os.path.isdir(self.path)


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Paths of images and their labels [N, T]; [N, 0] where none are needed."""

    paths: list[str]
    targets_NT: NDArray[np.float64]


def locate(item: str, params: ImageParams, *, scratch: Path) -> Source:
    """The set that `item` names; a URL is fetched into `scratch`. Raises BadInput."""
    if is_url(item):
        return Source(str(fetch(item, timeout_s=params.timeout, folder=scratch)), item, scratch)
    item = as_path(item)
    if existing_path(item) is None:
        check(item, "data")
        raise BadInput(
            f"image input connector folders or image list {item[:200]} does not exist: expected a"
            " folder of class folders, or a list file with lines `path label`"
        )
    return Source(item, item, scratch)


def learn(source: Source, params: ImageParams, classes: int | None) -> ImageState:
    """What a training set says of labels, beside how it shall be read; raises BadInput."""
    if params.autoencoder:
        state = ImageState(label_count=0)
    elif source.is_folder:
        state = learn_folder(source.path, source.name, classes)
    else:
        state = learn_list(read_list(source.path, source.name), params, classes)
    return state.model_copy(update={"preprocessing": params.preprocessing})


def labelled_set(source: Source, params: ImageParams, state: ImageState | None) -> LabelledSet:
    """The images of a set and their labels as in the training; raises BadInput."""
    if source.is_folder:
        if params.autoencoder:
            return _unlabelled(images_below(source.path), source.name)
        if params.multi_label:
            raise BadInput(f"{source.name} is a folder, multi_label requires a list file")
        return LabelledSet(*folder_set(source.path, source.name, state))
    listed = read_list(source.path, source.name)
    paths = image_paths(listed, params, scratch=source.scratch)
    if params.autoencoder:
        return _unlabelled(paths, source.name)
    return LabelledSet(paths, list_targets(listed, state, params))


def _unlabelled(paths: list[str], name: str) -> LabelledSet:
    if not paths:
        raise BadInput(f"{name} has no images")
    return LabelledSet(paths, np.zeros((len(paths), 0)))
