"""The table of machine learning libraries."""

from __future__ import annotations

from dd_ray.errors import UnknownLibrary
from dd_ray.mllibs.spec import MLLibSpec
from dd_ray.mllibs.xgboost.params import XGBoostParams
from dd_ray.registry import Registry

MLLIBS = Registry(
    [
        MLLibSpec(
            name="xgboost",
            description="Gradient boosted trees and linear models on tables and sparse data",
            params=XGBoostParams,
            connectors=("csv", "svm"),
            implementation="dd_ray.mllibs.xgboost.mllib:XGBoost",
            trainer="ray.train.xgboost:XGBoostTrainer",
            requires="xgboost",
            extra="xgboost",
            model_suffixes=(".model",),
            takes_missing=True,
            types=None,
        ),
    ],
    missing=UnknownLibrary,
)
