"""The table of machine learning libraries."""

from __future__ import annotations

from dataclasses import replace

from dd_ray.errors import UnknownLibrary
from dd_ray.mllibs.spec import MLLibSpec
from dd_ray.mllibs.torch.caffe_params import Caffe2Params, CaffeParams
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.xgboost.params import XGBoostParams
from dd_ray.registry import Registry

_TORCH = MLLibSpec(
    name="torch",
    description="Neural networks on images, tables and sparse data, from templates or TorchScript",
    params=TorchParams,
    connectors=("image", "csv", "svm"),
    implementation="dd_ray.mllibs.torch.mllib:Torch",
    trainer="ray.train.torch:TorchTrainer",
    requires="torch",
    extra="torch",
    model_suffixes=(".json", ".pt", ".ptw", ".npt"),
    types=("supervised", "unsupervised"),
)

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
        _TORCH,
        replace(
            _TORCH,
            name="caffe",
            description="Networks under Caffe's names and parameters, trained by the torch mllib",
            params=CaffeParams,
            implementation="dd_ray.mllibs.torch.mllib:Caffe",
            model_suffixes=(".solverstate", ".caffemodel", ".json", ".dat"),
        ),
        replace(
            _TORCH,
            name="caffe2",
            description="Networks under Caffe2's names and parameters, trained by the torch mllib",
            params=Caffe2Params,
        ),
    ],
    missing=UnknownLibrary,
)
