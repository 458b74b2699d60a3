"""Predictions of every kind as rows."""

from __future__ import annotations

from typing import Any

import pytest

from dd_ray.cli.predictions import COLUMNS, rows_of

BOX = {"xmin": 1.4, "ymin": 2.0, "xmax": 30.6, "ymax": 4.0}


@pytest.mark.parametrize(
    ("prediction", "rows"),
    [
        (
            {"classes": [{"cat": "a", "prob": 0.7}, {"cat": "b", "prob": 0.3}]},
            [("a", 0.7, ""), ("b", 0.3, "")],
        ),
        ({"classes": [{"cat": "a", "prob": 0.7, "bbox": BOX}]}, [("a", 0.7, "1 2 31 4")]),
        ({"vector": [{"cat": "y", "val": 1.5}]}, [("y", 1.5, "")]),
        ({"vals": [0.5, 0.25]}, [("vals", [0.5, 0.25], "")]),
        (
            {"series": [{"out": [1.0, 2.0]}, {"out": [3.0]}]},
            [("series", [1.0, 2.0], ""), ("series", [3.0], "")],
        ),
        ({"losses": [{"loss": 0.1}]}, [("losses", 0.1, "")]),
        (
            {"vals": [0.5], "nns": [{"uri": "b.jpg", "dist": 0.2}]},
            [("b.jpg", 0.2, ""), ("vals", [0.5], "")],
        ),
        (
            {"rois": [{"cat": "a", "prob": 0.9, "bbox": BOX, "vals": [1.0]}]},
            [("a", 0.9, "1 2 31 4")],
        ),
        ({"classes": []}, [("", None, "")]),
        ({}, [("", None, "")]),
    ],
)
def test_each_kind_has_its_rows(prediction: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    assert list(rows_of({"uri": "x.jpg"} | prediction)) == [("x.jpg", *row) for row in rows]
    assert all(len(row) + 1 == len(COLUMNS) for row in rows)
