"""The `csv` input connector: its parameters, training sets and rows to predict."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from dd_ray.connectors.csv_quick import is_quick, quick_rows
from dd_ray.connectors.csv_rows import read_rows
from dd_ray.connectors.csv_state import Bounds, CsvState
from dd_ray.connectors.source import is_content
from dd_ray.connectors.spec import InputParams
from dd_ray.data import Dataset, TableBatch
from dd_ray.errors import BadInput
from dd_ray.params import Int


def _character(value: Any) -> Any:
    """Only the first character counts, as in DeepDetect."""
    if isinstance(value, str) and len(value) > 1:
        return "\t" if value == "\\t" else value[0]
    return value


def _as_list(value: Any) -> Any:
    """Clients send one name instead of a list of one, and an empty string for none."""
    if isinstance(value, str):
        return [value] if value else []
    return value


def _numbers(value: Any) -> Any:
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Character = Annotated[str, BeforeValidator(_character)]
Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Numbers = Annotated[
    list[float], BeforeValidator(_numbers, json_schema_input_type=float | list[float])
]


class CsvParams(InputParams):
    """`parameters.input` of the `csv` connector."""

    additive: ClassVar[frozenset[str]] = frozenset({"ignore", "categoricals"})

    label: Names = Field(
        default_factory=list, description="Label column name, or several; required for training"
    )
    ignore: Names = Field(default_factory=list, description="Column names to ignore")
    label_offset: Numbers = Field(
        default_factory=lambda: [0.0],
        description="Added to the label, e.g. -1 so that labels range from 0 onward",
    )
    separator: Character = Field(
        ",", min_length=1, max_length=1, description="Column separator character"
    )
    quote: Character = Field('"', min_length=1, max_length=1, description="Quote character")
    id: str = Field(
        "", description="Column name of the examples' identifier field, if any: `uri` in answers"
    )
    scale: bool = Field(False, description="Whether to scale all values into [0,1]")
    scale_type: Literal["minmax", "znorm"] = Field(
        "minmax", description="minmax into [0,1], znorm to mean 0 and variance 1"
    )
    min_vals: list[float] = Field(
        default_factory=list,
        description="Instead of scale: minimums by column, as returned from a training call",
    )
    max_vals: list[float] = Field(
        default_factory=list,
        description="Instead of scale: maximums by column, as returned from a training call",
    )
    categoricals: Names = Field(
        default_factory=list, description="Columns to turn into one column for each value"
    )
    categoricals_mapping: dict[str, dict[str, Int]] = Field(
        default_factory=dict, description="Categorical mappings, as returned from a training call"
    )
    db: bool = Field(
        False,
        description="Whether to gather data on disk: training in memory far below the data's size",
    )
    test_split: float = Field(0.0, ge=0, lt=1, description="Test split part of the dataset")
    shuffle: bool = Field(
        False, description="Whether to shuffle the training set, prior to splitting"
    )
    seed: Int = Field(-1, description="Shuffling seed for reproducible results, -1 for random")

    @property
    def given_bounds(self) -> Bounds | None:
        """The bounds that the call gives; raises BadInput when there is only one half."""
        if not (self.min_vals or self.max_vals):
            return None
        if len(self.min_vals) != len(self.max_vals):
            raise BadInput(
                f"min_vals has {len(self.min_vals)} values and max_vals {len(self.max_vals)}"
            )
        return Bounds(low=self.min_vals, high=self.max_vals)


class _Csv:
    """The `csv` connector; see InputConnector."""

    state = CsvState

    def dataset(
        self,
        data: Sequence[str],
        params: CsvParams,
        *,
        scratch: Path,
        missing_ok: bool,
        classes: int | None,
    ) -> tuple[Dataset, CsvState]:
        from dd_ray.connectors.csv_training import training_set  # needs pyarrow

        return training_set(data, params, scratch=scratch, missing_ok=missing_ok, classes=classes)

    def read(
        self,
        data: Sequence[str],
        params: CsvParams,
        state: CsvState | None,
        *,
        labelled: bool,
        missing_ok: bool,
    ) -> TableBatch:
        bounds = bounds_for(params, state)
        if not labelled and is_quick(data):
            batch = quick_rows(data, params, state, bounds)
            if batch is not None:
                return batch
        if is_content(data[0]):
            return read_rows(data, params, state, bounds, labelled=labelled, missing_ok=missing_ok)
        from dd_ray.connectors.csv_training import read_files  # needs pyarrow

        with tempfile.TemporaryDirectory(prefix="dd-ray-") as scratch:
            return read_files(
                data,
                params,
                state,
                bounds,
                scratch=Path(scratch),
                labelled=labelled,
                missing_ok=missing_ok,
            )

    def quick(self, data: Sequence[str]) -> bool:
        return is_quick(data)

    def learned(self, params: CsvParams, state: CsvState) -> dict[str, Any]:
        if state.bounds is None and not state.categories:
            return {}
        answer: dict[str, Any] = {"connector": "csv"}
        if state.bounds is not None:
            names = ("min_vals", "max_vals")
            if state.bounds.kind == "znorm":
                names = ("mean_vals", "variance_vals")
            answer |= dict(zip(names, (state.bounds.low, state.bounds.high), strict=True))
        if state.categories:
            answer["categoricals_mapping"] = state.categories
        return answer


CSV = _Csv()


def bounds_for(params: CsvParams, state: CsvState | None) -> Bounds | None:
    """The bounds to scale a predict call with: the call's own, else those of the training.

    Raises BadInput when the call says `scale` and there are none.
    """
    given = params.given_bounds
    if given is not None:
        return given
    if state is not None and state.bounds is not None:
        return state.bounds
    if params.scale and state is None:
        raise BadInput("predict: failed acquiring scaling min_vals or max_vals")
    if params.scale:
        raise BadInput(
            "predict: failed acquiring scaling min_vals or max_vals: the model was trained without"
            " scaling, expected min_vals and max_vals"
        )
    return None
