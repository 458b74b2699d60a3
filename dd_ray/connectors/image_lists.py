"""List files: a line for each image, `path label label ...`, separated by blanks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image_state import ImageState
from dd_ray.connectors.spec import LARGEST
from dd_ray.errors import BadInput
from dd_ray.guard.paths import allowed, check
from dd_ray.locations import in_bucket, join
from dd_ray.objects import download_each

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams

_SHOWN = 20
"""Labels that an error lists."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line that is not empty, by its number from 1 on."""

    line: int
    path: str
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class ImageList:
    """A list file; `name` is what the call said.

    `folder` is where the file lies: a path, the URL of a prefix, None for other URLs.
    """

    name: str
    folder: str | None
    rows: Sequence[Row]

    def where(self, row: Row) -> str:
        return f"{self.name}, line {row.line}"


def read_list(path: str, name: str) -> ImageList:
    """The lines of a list file; raises BadInput."""
    rows = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                fields = line.split()
                if fields:
                    rows.append(Row(number, fields[0], fields[1:]))
    except OSError as exc:
        raise BadInput(f"cannot open file {name}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BadInput(
            f"{name}: not UTF-8 text at byte {exc.start}, expected a folder of class folders, or"
            " a list file with lines `path label`"
        ) from exc
    if not rows:
        raise BadInput(f"{name} is empty, expected lines `path label`")
    folder = os.path.dirname(path) if path == name else None
    return ImageList(name, name.rpartition("/")[0] if in_bucket(name) else folder, rows)


def image_paths(listed: ImageList, params: ImageParams, *, scratch: Path) -> list[str]:
    """Where the images are; raises BadInput for the first that is not there.

    Those in buckets are fetched into `scratch`.
    """
    reach = _Reach()
    urls = {i: url for i, row in enumerate(listed.rows) if (url := _url(row, listed, params))}
    folder = Path(tempfile.mkdtemp(dir=scratch)) if urls else scratch
    try:
        fetched = download_each(list(urls.values()), folder, what="a line of a list file")
    except OSError as exc:
        raise BadInput(f"{listed.name}: an image cannot be fetched: {exc.strerror}") from exc
    paths = dict(zip(urls, map(str, fetched), strict=True))
    return [
        paths[i] if i in paths else _image_path(row, listed, params, reach)
        for i, row in enumerate(listed.rows)
    ]


def _url(row: Row, listed: ImageList, params: ImageParams) -> str:
    """The URL of an image in a bucket; empty where it is a file."""
    if in_bucket(row.path):
        return row.path
    folder = params.root_folder or listed.folder or ""
    return join(folder, row.path) if in_bucket(folder) and not row.path.startswith("/") else ""


class _Reach:
    """Which files calls may reach, each folder looked at once: lists have a million lines."""

    def __init__(self) -> None:
        self._folders: dict[str, bool] = {}

    def allows(self, path: str) -> bool:
        if os.path.islink(path):
            return allowed(path)
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._folders[folder] = allowed(folder)
        return self._folders[folder]


def _image_path(row: Row, listed: ImageList, params: ImageParams, reach: _Reach) -> str:
    """In `root_folder`; without one in the working directory, else beside the list file."""
    folders = [params.root_folder] if params.root_folder else ["", listed.folder]
    named = [os.path.join(folder, row.path) for folder in folders if folder is not None]
    candidates = [path for path in named if reach.allows(path)]
    if not candidates:
        check(named[0], "a line of a list file")
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise BadInput(
        f"{listed.where(row)}: no image file {' or '.join(dict.fromkeys(candidates))}"
        " (lines are `path label`; a path has no blanks)"
    )


def learn_list(listed: ImageList, params: ImageParams, classes: int | None) -> ImageState:
    """What the labels of a training set are; raises BadInput."""
    count = _label_count(listed)
    state = ImageState(classes=classes, label_count=count)
    if classes is None or _is_multi_label(state, params):
        return state
    texts = list(dict.fromkeys(row.labels[0] for row in listed.rows))
    if all(_number(text) is not None for text in texts):
        return state
    if len(texts) > classes:
        raise BadInput(
            f"{listed.name} has {len(texts)} different labels, nclasses is {classes}:"
            f" {', '.join(texts[:_SHOWN])}"
        )
    return state.model_copy(update={"class_names": texts})


def list_targets(
    listed: ImageList, state: ImageState | None, params: ImageParams
) -> NDArray[np.float64]:
    """Labels [N, T] as in training; without a state they are numbers. Raises BadInput."""
    count = _label_count(listed)
    known = state or ImageState(label_count=count)
    if count != known.label_count:
        raise BadInput(
            f"{listed.where(listed.rows[0])}: {count} labels, expected {known.label_count} as in"
            " the training set"
        )
    if known.classes is not None and _is_multi_label(known, params) and count != known.classes:
        raise BadInput(
            f"{listed.where(listed.rows[0])}: {count} labels, expected one class, or a 0 or 1 for"
            f" each class (nclasses is {known.classes})"
        )
    meaning = _meaning(known, params)
    targets_NT = np.empty((len(listed.rows), count))
    for i, row in enumerate(listed.rows):
        try:
            targets_NT[i] = [meaning(text) for text in row.labels]
        except ValueError as exc:
            raise BadInput(f"{listed.where(row)}: {exc}") from None
    return targets_NT


def _label_count(listed: ImageList) -> int:
    """How many labels each line has; raises BadInput where they differ."""
    count = len(listed.rows[0].labels)
    if count == 0:
        raise BadInput(f"{listed.where(listed.rows[0])}: no label after the path")
    for row in listed.rows:
        if len(row.labels) != count:
            raise BadInput(
                f"{listed.where(row)}: {len(row.labels)} labels, expected {count} as in line"
                f" {listed.rows[0].line}"
            )
    return count


def _is_multi_label(state: ImageState, params: ImageParams) -> bool:
    return params.multi_label or state.label_count > 1


def _meaning(state: ImageState, params: ImageParams) -> Callable[[str], float]:
    """From a label's text to its number; the function raises ValueError."""
    classes = state.classes
    if classes is None:
        return _value
    if _is_multi_label(state, params):
        return _flag
    numbers = {name: float(number) for number, name in enumerate(state.class_names)}

    def class_number(text: str) -> float:
        """A name if there is one, else a number."""
        value = numbers.get(text, _number(text))
        if value is None and numbers:
            raise ValueError(f"label {text} found in test set but not in train set")
        if value is None or not (value.is_integer() and 0 <= value < classes):
            raise ValueError(
                f"label {text} is not a class, expected an integer from 0 to {classes - 1}"
                f" (nclasses is {classes})"
            )
        return value

    return class_number


def _value(text: str) -> float:
    value = _number(text)
    if value is None:
        raise ValueError(f"label {text!r} is not a number")
    return value


def _flag(text: str) -> float:
    value = _number(text)
    if value is None or not (value in (0, 1) or value < 0):
        raise ValueError(
            f"label {text!r} of several, expected 0 or 1, or a negative number for not known"
        )
    return value


def _number(text: str) -> float | None:
    """A finite number; Python's `1_000` is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= LARGEST and "_" not in text else None
