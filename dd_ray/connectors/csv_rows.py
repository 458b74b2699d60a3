"""Rows of CSV text out of a predict call, as a batch: the quick path, without pyarrow."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.csv_state import Bounds, CsvState, scaled, scaling
from dd_ray.connectors.spec import LARGEST
from dd_ray.data import TableBatch
from dd_ray.errors import BadInput
from dd_ray.settings import settings

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams

Row = list[str]


def read_rows(
    data: Sequence[str],
    params: CsvParams,
    state: CsvState | None,
    bounds: Bounds | None,
    *,
    labelled: bool,
    missing_ok: bool,
) -> TableBatch:
    """The batch of in-line rows, in the order sent.

    The first line is a header when its fields are column names of the training, or when the
    model has none and a field is no number. Without one, rows are matched by position: as wide as
    the model's inputs, as the columns that were not ignored, or as the whole training file.
    """
    rows, lines = _split(data, params)
    header = _header(rows, params, state)
    if header is not None:
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise BadInput("no data could be found")
    known = state or _state_of(header, rows[0], params)
    check_size(len(rows), max(len(rows[0]), len(known.features)), of="data")
    positions = _positions(header, rows, known, lines)
    values_NF = _values(rows, positions, known, lines, missing_ok=missing_ok)
    if bounds is None:
        narrow_NF = values_NF.astype(np.float32)
    else:
        scale = scaling(known, bounds)
        narrow_NF = scaled(values_NF, scale.shift_F, scale.scale_F, "data")
    return TableBatch(
        values_NF=narrow_NF,
        names=known.features,
        uris=_uris(rows, positions, params.id or known.id),
        targets_NT=_targets(rows, positions, known, params, lines) if labelled else None,
    )


def _split(data: Sequence[str], params: CsvParams) -> tuple[list[Row], list[str]]:
    """Fields of every row, and where each row stands for error messages."""
    rows: list[Row] = []
    lines: list[str] = []
    separator, quote = params.separator, params.quote
    for i, text in enumerate(data):
        physical = text.removeprefix("\ufeff").splitlines() if i == 0 else text.splitlines()
        if quote in text:
            try:
                parsed = list(
                    csv.reader(physical, delimiter=separator, quotechar=quote, strict=True)
                )
            except csv.Error as exc:
                raise BadInput(f"data[{i}]: {exc}") from exc
        else:
            parsed = [line.split(separator) for line in physical if line.strip()]
        for number, row in enumerate(parsed, 1):
            if row:
                rows.append(row)
                lines.append(f"data[{i}], line {number}")
    if not rows:
        raise BadInput("no data could be found")
    longest = settings().max_field_chars
    if any(len(text) > longest for text in data):
        for row, line in zip(rows, lines, strict=True):
            if any(len(field) > longest for field in row):
                raise BadInput(f"{line}: a field has more than {longest} characters")
    return rows, lines


def check_size(rows: int, columns: int, *, of: str) -> None:
    """Raises BadInput for a table that is too large to predict at once."""
    limits = settings()
    if columns > limits.max_columns:
        raise BadInput(f"{of} has {columns} columns, expected at most {limits.max_columns}")
    if rows * columns > limits.max_cells:
        raise BadInput(
            f"{of} has {rows} rows and {columns} columns, expected at most {limits.max_cells} cells"
            " in one predict call"
        )


def _header(rows: list[Row], params: CsvParams, state: CsvState | None) -> Row | None:
    first = rows[0]
    if state is not None:
        return first if set(first) & set(state.header) and not _numeric(first, state) else None
    if params.id and params.id in first:
        return first
    return None if all(_is_number(field) for field in first) else first


def _numeric(row: Row, state: CsvState) -> bool:
    """Whether a row could be values: every column that is a number holds one."""
    texts = {*state.categories, state.id, *state.labels}
    columns = state.inputs if len(row) == len(state.inputs) else state.kept
    if len(row) != len(columns):
        columns = state.header
    return all(
        _is_number(field) or column in texts for field, column in zip(row, columns, strict=False)
    ) and any(_is_number(field) for field in row)


def _is_number(field: str) -> bool:
    if not field.strip():
        return True
    try:
        float(field)
    except ValueError:
        return False
    return True


def _state_of(header: Row | None, first: Row, params: CsvParams) -> CsvState:
    """Columns of a model that was put into the repository by hand: all but id, label, ignored."""
    columns = header or [str(i) for i in range(len(first))]
    labels = [label for label in params.label if label in columns]
    return CsvState(
        header=columns,
        kept=[column for column in columns if column not in params.ignore],
        id=params.id if params.id in columns else "",
        labels=labels,
        categories=params.categoricals_mapping,
    )


def _positions(
    header: Row | None, rows: list[Row], state: CsvState, lines: list[str]
) -> dict[str, int]:
    """Where each column stands in the rows; checks that all rows are as wide."""
    if header is not None:
        columns = header
        missing = [column for column in state.inputs if column not in header]
        if missing:
            raise BadInput(f"{lines[0]}: the header has no column {missing[0]}")
    else:
        columns = _columns_of_width(len(rows[0]), state, lines[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(columns):
            more = "more" if len(row) > len(columns) else "fewer"
            raise BadInput(
                f"{line}: line has {more} columns than headers: {len(row)}, expected {len(columns)}"
            )
    return {column: i for i, column in enumerate(columns)}


def _columns_of_width(width: int, state: CsvState, line: str) -> list[str]:
    choices = [state.inputs, state.kept, state.header]
    without_labels = [c for c in state.kept if c not in state.labels]
    for columns in [*choices, without_labels]:
        if len(columns) == width:
            return columns
    expected = sorted({len(columns) for columns in [*choices, without_labels]})
    raise BadInput(
        f"{line}: {width} columns, expected {' or '.join(map(str, expected))}:"
        f" {', '.join(state.inputs[:20])}"
    )


def _values(
    rows: list[Row],
    positions: dict[str, int],
    state: CsvState,
    lines: list[str],
    *,
    missing_ok: bool,
) -> NDArray[np.float64]:
    """The features of each row before scaling, float64 [N, F]."""
    take = [positions[column] for column in state.inputs]
    plain = not state.categories
    if plain:
        whole = take == list(range(len(rows[0])))
        try:
            flat = [list(map(float, row if whole else [row[i] for i in take])) for row in rows]
        except ValueError:
            flat = None
        if flat is not None:
            values_NF = np.array(flat, dtype=np.float64)
            within = bool((np.abs(values_NF) <= LARGEST).all())
            if within and not any("_" in field for row in rows for field in row):
                return values_NF
    return np.array(
        [
            _row(row, positions, state, line, missing_ok=missing_ok)
            for row, line in zip(rows, lines, strict=True)
        ],
        dtype=np.float64,
    ).reshape(len(rows), -1)


def _row(
    row: Row, positions: dict[str, int], state: CsvState, line: str, *, missing_ok: bool
) -> list[float]:
    """The features of one row, each cell checked."""
    values: list[float] = []
    for column in state.inputs:
        field = row[positions[column]]
        categories = state.categories.get(column)
        if categories is None:
            values.append(number(field, column, line, missing_ok=missing_ok))
            continue
        if field not in categories:
            raise BadInput(f"{line}: unknown category {field[:80]} for variable {column}")
        block = [0.0] * len(categories)
        block[sorted(categories.values()).index(categories[field])] = 1.0
        values += block
    return values


def number(field: str, column: str, line: str, *, missing_ok: bool) -> float:
    """The number in a cell, NaN for an empty one; raises BadInput saying where it stands."""
    if not field.strip():
        if missing_ok:
            return float("nan")
        raise BadInput(f"{line}: column {column} is empty")
    try:
        value = float(field)
    except ValueError:
        value = float("nan")
    if LARGEST < abs(value) < float("inf"):
        raise BadInput(f"{line}: column {column} is beyond {LARGEST:.3g}: {field[:80]!r}")
    if not np.isfinite(value) or "_" in field:
        raise BadInput(
            f"{line}: column {column} is not a number, use categoricals or ignore parameters"
            f" instead: {field[:80]!r}"
        )
    return value


def _targets(
    rows: list[Row],
    positions: dict[str, int],
    state: CsvState,
    params: CsvParams,
    lines: list[str],
) -> NDArray[np.float64]:
    labels = state.labels or params.label
    if not labels:
        raise BadInput("missing label column parameter")
    for label in labels:
        if label not in positions:
            raise BadInput(f"cannot find label column {label}: measures need labelled rows")
    numbers = state.class_number
    targets_NT = np.empty((len(rows), len(labels)))
    for j, label in enumerate(labels):
        offset = label_offset(params, j)
        for i, (row, line) in enumerate(zip(rows, lines, strict=True)):
            field = row[positions[label]]
            if numbers:
                if field not in numbers:
                    raise BadInput(
                        f"{line}: label {field[:80]} found in test set but not in train set"
                    )
                targets_NT[i, j] = numbers[field]
            else:
                targets_NT[i, j] = number(field, label, line, missing_ok=False) + offset
    return targets_NT


def label_offset(params: CsvParams, j: int) -> float:
    """The offset of the j-th label; one offset is for all."""
    offsets = params.label_offset or [0.0]
    return offsets[j] if j < len(offsets) else offsets[0]


def _uris(rows: list[Row], positions: dict[str, int], id_column: str) -> list[str]:
    if id_column and id_column in positions:
        at = positions[id_column]
        return [row[at] for row in rows]
    return [str(i) for i in range(1, len(rows) + 1)]
