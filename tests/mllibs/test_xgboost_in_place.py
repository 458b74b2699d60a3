"""Predicting rows in place, against XGBoost's own way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dd_ray.mllibs.xgboost.in_place import predict_rows
from dd_ray.mllibs.xgboost.library import xgb

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(300, 5)).astype(np.float32)
CLASSES = (VALUES[:, 0] > 0).astype(int) + (VALUES[:, 1] > 0)
GAPS = np.where(RNG.random(VALUES.shape) < 0.3, np.float32("nan"), VALUES)


def booster(**given: Any) -> Any:
    labels = CLASSES if "num_class" in given else np.minimum(CLASSES, 1)
    return xgb.train({"nthread": 1, **given}, xgb.DMatrix(VALUES, label=labels), 7)


@pytest.fixture(
    params=[
        {"objective": "multi:softprob", "num_class": 3},
        {"objective": "multi:softmax", "num_class": 3},
        {"objective": "binary:logistic"},
        {"objective": "reg:squarederror"},
        {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.5},
    ],
    ids=lambda given: "-".join(str(value) for value in given.values()),
)
def model(request: pytest.FixtureRequest) -> Any:
    return booster(**request.param)


@pytest.mark.parametrize(
    "rows",
    [VALUES[:1], VALUES, GAPS, VALUES[:0], VALUES[::2], VALUES[:, ::-1], VALUES.astype(float)],
    ids=["one", "all", "gaps", "none", "every second", "backwards", "float64"],
)
def test_it_is_what_xgboost_says(model: Any, rows: Any) -> None:
    expected = model.inplace_predict(rows)
    found = predict_rows(model, rows)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_sparse_rows_go_xgboosts_way(model: Any) -> None:
    rows = csr_matrix(np.where(np.abs(VALUES) < 0.5, 0, VALUES))
    np.testing.assert_array_equal(predict_rows(model, rows), model.inplace_predict(rows))


def test_answers_stay_when_others_are_asked_for() -> None:
    model = booster(objective="multi:softprob", num_class=3)
    expected = model.inplace_predict(VALUES)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: predict_rows(model, VALUES[i : i + 1]), range(300)))
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_too_few_columns_are_an_error_of_xgboost() -> None:
    with pytest.raises(xgb.core.XGBoostError, match="columns"):
        predict_rows(booster(objective="reg:squarederror"), np.zeros((1, 4), np.float32))
