"""What the `csv` connector learned: columns, categories, classes and bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from dd_ray.connectors.spec import LARGEST, State
from dd_ray.errors import BadInput


class Bounds(State):
    """Scaling by slot: each kept column in header order, a categorical one with a slot a value.

    `minmax`: low and high are minimum and maximum; `znorm`: mean and population variance.
    """

    kind: Literal["minmax", "znorm"] = "minmax"
    low: list[float]
    high: list[float]


@dataclass(frozen=True, slots=True)
class Slot:
    """A position in the vector of bounds: a column, or one value of a categorical column."""

    column: str
    category: str | None
    feature: bool
    """Whether it is an input of the model; id and labels have slots too."""

    @property
    def name(self) -> str:
        return self.column if self.category is None else f"{self.column}_{self.category}"


class CsvState(State):
    """Kept beside the model as JSON."""

    model_config = ConfigDict(frozen=True, ignored_types=(cached_property,))

    header: list[str]
    """Every column of the training file."""
    kept: list[str]
    """The columns that were not ignored, in header order, id and labels among them."""
    id: str = ""
    labels: list[str] = Field(default_factory=list)
    classes: list[str] = Field(default_factory=list)
    """Names of the classes by number when the label was text."""
    categories: dict[str, dict[str, int]] = Field(default_factory=dict)
    bounds: Bounds | None = None

    def replace(self, **changes: object) -> CsvState:
        """The same with other fields. (`model_copy` would keep the cached properties.)"""
        return CsvState.model_validate(self.model_dump() | changes)

    @cached_property
    def slots(self) -> list[Slot]:
        return list(self._slots())

    def _slots(self) -> Iterator[Slot]:
        for column in self.kept:
            feature = column != self.id and column not in self.labels
            if feature and column in self.categories:
                by_number = sorted(self.categories[column].items(), key=lambda item: item[1])
                for category, _ in by_number:
                    yield Slot(column, category, True)
            else:
                yield Slot(column, None, feature)

    @cached_property
    def inputs(self) -> list[str]:
        """The columns that a row must have for a prediction, in header order."""
        return [c for c in self.kept if c != self.id and c not in self.labels]

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the model's inputs: columns, and `<column>_<value>` of categorical ones."""
        return tuple(slot.name for slot in self.slots if slot.feature)

    @cached_property
    def width(self) -> dict[str, int]:
        """How many features each input column makes."""
        return {c: len(self.categories[c]) if c in self.categories else 1 for c in self.inputs}

    @property
    def class_number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}


@dataclass(frozen=True, slots=True)
class Scaling:
    """`(x - shift) / scale` for each feature, in float64."""

    shift_F: NDArray[np.float64]
    scale_F: NDArray[np.float64]


def scaled(
    values: NDArray[np.float64],
    shift: NDArray[np.float64] | float,
    scale: NDArray[np.float64] | float,
    names: str,
) -> NDArray[np.float32]:
    """`(values - shift) / scale` as float32; raises BadInput when that is beyond its range."""
    with np.errstate(over="ignore"):
        result = ((values - shift) / scale).astype(np.float32)
    if np.isinf(result).any():
        raise BadInput(
            f"{names}: a value is beyond {LARGEST:.3g} after scaling with min_vals and max_vals"
        )
    return result


def scaling(state: CsvState, bounds: Bounds) -> Scaling:
    """The scaling of the features by bounds over all slots; raises BadInput for a wrong length.

    A feature that does not vary stays as it is.
    """
    for given in (bounds.low, bounds.high):
        if len(given) != len(state.slots):
            raise BadInput(
                f"{len(given)} bounds for {len(state.slots)} columns: expected one for each of"
                f" {', '.join(slot.name for slot in state.slots[:20])}"
            )
    keep = [i for i, slot in enumerate(state.slots) if slot.feature]
    low_F, high_F = np.array(bounds.low)[keep], np.array(bounds.high)[keep]
    scale_F = high_F - low_F if bounds.kind == "minmax" else np.sqrt(np.maximum(high_F, 0))
    constant_F = ~(scale_F > 0)
    return Scaling(np.where(constant_F, 0.0, low_F), np.where(constant_F, 1.0, scale_F))
