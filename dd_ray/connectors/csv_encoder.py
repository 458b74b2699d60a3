"""Arrow batches as the batches of a model: features, targets and identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dd_ray.connectors.csv_rows import label_offset
from dd_ray.connectors.csv_state import CsvState, Scaling, scaled
from dd_ray.connectors.csv_table import Table
from dd_ray.data import Batches, InMemory, TableBatch

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams


class Encoder:
    """Turns rows into batches with what was learned."""

    def __init__(self, state: CsvState, params: CsvParams, scale: Scaling | None) -> None:
        self._state = state
        self._params = params
        self._scale = scale

    def whole(self, table: Table) -> TableBatch:
        """All rows in one batch."""
        state, rows = self._state, table.rows
        values_NF = np.empty((rows, len(state.features)), np.float32)
        targets_NT = np.empty((rows, len(state.labels)))
        uris: list[str] = []
        start = 0
        for batch in table:
            end = start + len(batch)
            self._features(batch, values_NF[start:end])
            self._targets(batch, targets_NT[start:end])
            uris += self._uris(batch, start)
            start = end
        return TableBatch(
            values_NF=values_NF,
            names=state.features,
            uris=uris,
            targets_NT=targets_NT if state.labels else None,
        )

    def examples(self, table: Table) -> Batches:
        """All rows as a set of examples, in memory unless the table is on disk."""
        if table.path is None:
            return InMemory(self.whole(table))
        return OnDisk(table, self, np.ones(table.rows, dtype=bool))

    def batch(self, rows: pa.RecordBatch, start: int) -> TableBatch:
        """The rows of one Arrow batch, of which `start` stand before it."""
        values_NF = np.empty((len(rows), len(self._state.features)), np.float32)
        targets_NT = np.empty((len(rows), len(self._state.labels)))
        self._features(rows, values_NF)
        self._targets(rows, targets_NT)
        return TableBatch(
            values_NF=values_NF,
            names=self._state.features,
            uris=self._uris(rows, start),
            targets_NT=targets_NT,
        )

    def _features(self, batch: pa.RecordBatch, out_NF: NDArray[np.float32]) -> None:
        position = 0
        for name in self._state.inputs:
            column = batch.column(name)
            categories = self._state.categories.get(name)
            if categories is None:
                block = [column.to_numpy(zero_copy_only=False)]
            else:
                ordered = sorted(categories, key=lambda value: categories[value])
                block = [
                    pc.equal(column, value).to_numpy(zero_copy_only=False) for value in ordered
                ]
            for values_N in block:
                if self._scale is not None:
                    shift, scale = self._scale.shift_F[position], self._scale.scale_F[position]
                    values_N = scaled(values_N.astype(np.float64), shift, scale, f"column {name}")
                out_NF[:, position] = values_N
                position += 1

    def _targets(self, batch: pa.RecordBatch, out_NT: NDArray[np.float64]) -> None:
        for j, label in enumerate(self._state.labels):
            column = batch.column(label)
            if self._state.classes:
                known = pa.array(self._state.classes, pa.string())
                out_NT[:, j] = pc.index_in(column, value_set=known).to_numpy()
            else:
                offset = label_offset(self._params, j)
                out_NT[:, j] = column.to_numpy(zero_copy_only=False) + offset

    def _uris(self, batch: pa.RecordBatch, start: int) -> list[str]:
        if self._state.id:
            return [value or "" for value in batch.column(self._state.id).to_pylist()]
        return [str(i) for i in range(start + 1, start + len(batch) + 1)]


@dataclass(frozen=True, slots=True)
class OnDisk:
    """The chosen rows of a table on disk, read again at each pass, in the table's order."""

    table: Table
    encoder: Encoder
    chosen_N: NDArray[np.bool_]

    @property
    def folder(self) -> Path | None:
        return self.table.path.parent if self.table.path else None

    def __len__(self) -> int:
        return int(self.chosen_N.sum())

    def __iter__(self) -> Iterator[TableBatch]:
        start = 0
        for rows in self.table:
            mask = self.chosen_N[start : start + len(rows)]
            if mask.any():
                kept = rows if mask.all() else rows.filter(pa.array(mask))
                yield self.encoder.batch(kept, start)
            start += len(rows)


def split(
    table: Table, params: CsvParams, encoder: Encoder, *, with_tests: bool
) -> tuple[Batches, Batches | None]:
    """Training and test examples of a training set.

    After the shuffle the first `floor(n * (1 - test_split))` rows train. On disk the shuffle
    decides which rows train, not in which order they come.
    """
    count = table.rows
    first = int(np.floor(count * (1 - (0.0 if with_tests else params.test_split))))
    order = np.arange(count)
    if params.shuffle:
        np.random.default_rng(params.seed if params.seed >= 0 else None).shuffle(order)
    train, test = order[:first], order[first:]
    if table.path is not None:
        chosen_N = np.zeros(count, dtype=bool)
        chosen_N[train] = True
        rest = OnDisk(table, encoder, ~chosen_N) if len(test) else None
        return OnDisk(table, encoder, chosen_N), rest
    whole = encoder.whole(table)
    if not len(test) and not params.shuffle:
        return InMemory(whole), None
    return InMemory(_rows(whole, train)), InMemory(_rows(whole, test)) if len(test) else None


def _rows(batch: TableBatch, chosen: NDArray[np.int64]) -> TableBatch:
    targets_NT = batch.targets_NT
    return TableBatch(
        values_NF=batch.values_NF[chosen],
        names=batch.names,
        uris=[batch.uris[i] for i in chosen],
        targets_NT=None if targets_NT is None else targets_NT[chosen],
    )
