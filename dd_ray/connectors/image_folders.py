"""Folders of images: with a folder for each class, or without."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image_state import ImageState
from dd_ray.errors import BadInput
from dd_ray.guard.paths import check

logger = logging.getLogger(__name__)

_SHOWN = 20
"""Class folders that an error lists."""


def class_folders(folder: str) -> list[str]:
    """Names of the folders in it, sorted: in this order classes are numbered."""
    return _names(folder, folders=True)


def images_of(folder: str) -> list[str]:
    """The images of a predict call: those below the class folders, else the files in it."""
    if class_folders(folder):
        return images_below(folder)
    return [os.path.join(folder, name) for name in _names(folder, folders=False)]


def images_below(folder: str) -> list[str]:
    """All files in a folder and its folders, by path; hidden ones do not count."""
    names = _names(folder, folders=False)
    files = [os.path.join(folder, name) for name in names]
    below = (images_below(os.path.join(folder, name)) for name in class_folders(folder))
    return sorted(chain(files, *below))


def learn_folder(folder: str, name: str, classes: int | None) -> ImageState:
    """The classes of a training set in a folder; raises BadInput."""
    names = class_folders(folder)
    if not names:
        raise BadInput(
            f"{name} has no class folders: expected a folder of images for each class, or a list"
            " file"
        )
    if classes is not None and len(names) > classes:
        raise BadInput(
            f"{name} has {len(names)} class folders, nclasses is {classes}:"
            f" {', '.join(names[:_SHOWN])}"
        )
    return ImageState(classes=classes, class_names=names)


def folder_set(
    folder: str, name: str, state: ImageState | None
) -> tuple[list[str], NDArray[np.float64]]:
    """Images in class folders and their class numbers [N, 1], by the names of the training.

    Folders that the training had not are skipped. Raises BadInput.
    """
    if state is not None and (state.classes is None or state.label_count != 1):
        raise BadInput(
            f"{name} is a folder, but labels are not one class for each image: expected a list file"
        )
    paths: list[str] = []
    numbers: list[int] = []
    unknown = []
    for class_name in class_folders(folder):
        number = _class_number(class_name, state)
        if number is None:
            unknown.append(class_name)
            continue
        found = images_below(os.path.join(folder, class_name))
        paths += found
        numbers += [number] * len(found)
    if unknown:
        logger.info("class folders unknown to the training skipped: %s", unknown[:_SHOWN])
    if not paths:
        raise BadInput(f"{name} has no images in class folders{_expected(state)}")
    return paths, np.array(numbers, np.float64)[:, None]


def _class_number(name: str, state: ImageState | None) -> int | None:
    """The number of a class, where classes have no names the one that the folder is named by."""
    if state is not None and state.class_names:
        return state.class_names.index(name) if name in state.class_names else None
    if not (name.isascii() and name.isdigit()):
        return None
    number = int(name)
    return number if state is None or state.classes is None or number < state.classes else None


def _expected(state: ImageState | None) -> str:
    names: Sequence[str] = state.class_names if state else ()
    return f" named {', '.join(names[:_SHOWN])}" if names else " named by class numbers"


def _names(folder: str, *, folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = [
                entry
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir() == folders
            ]
    except OSError as exc:
        raise BadInput(f"cannot read folder {folder}: {exc.strerror}") from exc
    for entry in found:
        if entry.is_symlink():
            check(entry.path, "a file of a folder in data")
    return sorted(entry.name for entry in found)
