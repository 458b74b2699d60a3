"""Training matrices made batch by batch, for data that does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dd_ray.data import Batch, Batches
from dd_ray.errors import BadInput, BadParameter
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.params import XGBoostParams


def external_matrix(
    examples: Batches,
    params: XGBoostParams,
    reference: Any | None,
    *,
    threads: int,
) -> Any:
    """A quantile matrix: one byte a cell instead of XGBoost's eight, built in two passes.

    `reference` is the training matrix when this one is a test set, which shares its bins.
    """
    if params.booster == "gblinear" or params.booster_params.tree_method in ("exact", "approx"):
        raise BadParameter(
            "db: true trains on quantile bins: parameters.mllib.booster must be gbtree or dart"
            " and booster_params.tree_method auto or hist"
        )
    return xgb.QuantileDMatrix(_Pages(examples), ref=reference, nthread=threads)


class _Pages(xgb.DataIter):  # type: ignore[misc]  # xgboost has no types
    """Batches the way XGBoost asks for them."""

    def __init__(self, examples: Batches) -> None:
        super().__init__()
        self._examples = examples
        self._iterator: Iterator[Batch] = iter(())

    def reset(self) -> None:
        self._iterator = iter(self._examples)

    def next(self, input_data: Callable[..., Any]) -> bool:
        batch = next(self._iterator, None)
        if batch is None:
            return False
        assert batch.targets_NT is not None
        if batch.targets_NT.shape[1] != 1:
            raise BadInput(
                f"{batch.targets_NT.shape[1]} label columns, expected 1: XGBoost has one target"
            )
        input_data(data=batch.values_NF, label=batch.targets_NT[:, 0])
        return True
