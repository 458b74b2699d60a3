"""Predictions as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("uri", "prediction", "value", "where")

_LISTS = {
    # key of a prediction: name and value of each of its items
    "classes": ("cat", "prob"),
    "vector": ("cat", "val"),
    "rois": ("cat", "prob"),
    "nns": ("uri", "dist"),
    "series": (None, "out"),
    "losses": (None, "loss"),
}
_BOX = ("xmin", "ymin", "xmax", "ymax")


def rows_of(prediction: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """A row for each class, value, box, neighbour or vector; a row without any for nothing.

    >>> list(rows_of({"uri": "1", "classes": [{"cat": "cat", "prob": 0.75}]}))
    [('1', 'cat', 0.75, '')]
    >>> list(rows_of({"uri": "1", "vals": [0.5, 0.25]}))
    [('1', 'vals', [0.5, 0.25], '')]
    """
    uri = prediction.get("uri", "")
    found = False
    for key, (name, value) in _LISTS.items():
        for item in prediction.get(key, ()):
            found = True
            yield uri, item.get(name, "") if name else key, item.get(value), _box(item)
    if "vals" in prediction:
        found = True
        yield uri, "vals", prediction["vals"], ""
    if not found:
        yield uri, "", None, ""


def _box(item: Mapping[str, Any]) -> str:
    box = item.get("bbox")
    return " ".join(f"{box[edge]:.0f}" for edge in _BOX) if box else ""
