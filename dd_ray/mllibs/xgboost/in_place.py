"""Predicting rows where they lie in memory, through XGBoost's C interface.

`Booster.inplace_predict` finds out for each call which of ten libraries its data is of, and writes
its options as JSON: for one row and 50 rounds that takes longer than the trees.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.mllibs.xgboost.library import xgb

_OPTIONS = (
    b'{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,'
    b'"strict_shape":false,"cache_id":0}'
)
"""Those of `inplace_predict` when it is given none."""

_ROWS = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'
"""NumPy's array interface: address, rows, columns."""


def predict_rows(booster: Any, values_NF: Any) -> NDArray[np.float32]:
    """What a tree booster on a CPU predicts for rows, [N] or [N, outputs]; raises XGBoostError.

    No rows, and rows in anything but a float32 array in C's order, go through `inplace_predict`.
    """
    if not (isinstance(values_NF, np.ndarray) and _is_plain(values_NF)):
        return np.asarray(booster.inplace_predict(values_NF, validate_features=False))
    shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
    found = ctypes.POINTER(ctypes.c_float)()
    failed = xgb.core._LIB.XGBoosterPredictFromDense(
        booster.handle,
        _ROWS % (values_NF.ctypes.data, *values_NF.shape),
        _OPTIONS,
        None,
        ctypes.byref(shape),
        ctypes.byref(dimensions),
        ctypes.byref(found),
    )
    xgb.core._check_call(failed)
    sizes = tuple(shape[: dimensions.value])
    return np.ctypeslib.as_array(found, shape=sizes).copy()  # XGBoost's next call reuses it


def _is_plain(values_NF: NDArray[Any]) -> bool:
    return values_NF.dtype == np.float32 and values_NF.flags.c_contiguous and values_NF.size > 0
