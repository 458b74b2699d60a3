"""What a training set teaches: categories, classes and bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dd_ray.connectors.csv_state import Bounds, CsvState, scaling
from dd_ray.errors import BadInput
from dd_ray.settings import settings

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams


def learn(
    table: Iterable[pa.RecordBatch],
    state: CsvState,
    params: CsvParams,
    *,
    labels_are_text: bool,
    classes: int | None,
) -> CsvState:
    """The state of a training set: numbers of categories and classes by first appearance.

    Bounds are over all its rows, before shuffling and splitting. Raises BadInput.
    """
    columns = [*params.categoricals, *(c for c in params.categoricals_mapping if c in state.inputs)]
    categories = {
        column: _numbered(_distinct(table, column), params.categoricals_mapping.get(column, {}))
        for column in dict.fromkeys(columns)
        if column in state.inputs
    }
    names = _distinct(table, state.labels[0]) if labels_are_text else []
    if classes is not None and len(names) > classes:
        raise BadInput(
            f"column {state.labels[0]} has {len(names)} different labels, {names[0]!r} to"
            f" {names[-1]!r}, but nclasses is {classes}"
        )
    learned = state.replace(categories=categories, classes=names)
    most = settings().max_columns
    if len(learned.features) > most:
        raise BadInput(
            f"with one for each category there are {len(learned.features)} columns, expected at"
            f" most {most}"
        )
    given = params.given_bounds
    if given is not None:
        scaling(learned, given)  # checks the length
        return learned.replace(bounds=given)
    if params.scale:
        return learned.replace(bounds=_bounds(table, learned, params))
    return learned


def _distinct(table: Iterable[pa.RecordBatch], column: str) -> list[str]:
    """The different values of a column of text in the order they first appear."""
    seen: dict[str, None] = {}
    for batch in table:
        seen.update(dict.fromkeys(pc.unique(batch.column(column)).to_pylist()))
    return ["" if value is None else value for value in seen]


def _numbered(values: list[str], given: Mapping[str, int]) -> dict[str, int]:
    """Values with numbers: those of a given mapping stay, new ones get the next free number."""
    numbers = dict(given)
    following = max(numbers.values(), default=-1) + 1
    for value in values:
        if value not in numbers:
            numbers[value] = following
            following += 1
    return numbers


def _bounds(table: Iterable[pa.RecordBatch], state: CsvState, params: CsvParams) -> Bounds:
    low, high = [], []
    for slot in state.slots:
        column = np.concatenate(
            [_slot_values(batch, slot.column, slot.category, state) for batch in table]
        )
        column = column[~np.isnan(column)]
        if len(column) == 0:
            low.append(0.0)
            high.append(0.0)
        elif params.scale_type == "znorm":
            low.append(float(column.mean()))
            high.append(float(column.var()))
        else:
            low.append(float(column.min()))
            high.append(float(column.max()))
    return Bounds(kind=params.scale_type, low=low, high=high)


def _slot_values(
    batch: pa.RecordBatch, column: str, category: str | None, state: CsvState
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column as numbers: 0 for an identifier, the class number for a label that is text."""
    if column == state.id:
        return np.zeros(len(batch))
    values = batch.column(column)
    if category is not None:
        return np.asarray(pc.equal(values, category).to_numpy(zero_copy_only=False), np.float64)
    if column in state.labels and state.classes:
        known = pa.array(state.classes, pa.string())
        return np.asarray(pc.index_in(values, value_set=known).to_numpy(), np.float64)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
