"""Rows of plain numbers out of a predict call: what most calls are, read in microseconds."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import orjson

from dd_ray.connectors.csv_state import Bounds, CsvState, scaled, scaling
from dd_ray.connectors.spec import LARGEST
from dd_ray.data import TableBatch

if TYPE_CHECKING:
    from dd_ray.connectors.csv import CsvParams

_NUMBERS = re.compile(r"[-+0-9.eE,]*,[-+0-9.eE,]*")
"""Numbers between commas: no name of a file, no quote, no word."""

_OF_NUMBERS = b"-+0123456789.eE,"
_MOST_ROWS = 1024
_MOST_CHARACTERS = 2**16


def is_quick(data: Sequence[str]) -> bool:
    """Whether the first element is a row of numbers, and there is not much data."""
    if len(data) > _MOST_ROWS or not _NUMBERS.fullmatch(data[0]):
        return False
    return sum(map(len, data)) <= _MOST_CHARACTERS


def quick_rows(
    data: Sequence[str], params: CsvParams, state: CsvState | None, bounds: Bounds | None
) -> TableBatch | None:
    """The batch of rows that hold just the model's inputs, in their order; else None.

    JSON's reader takes half the time of `float`. What it does not take, such as `.5` or an empty
    cell, goes the long way, and so does everything that is wrong: the long way says what it is.
    """
    state = state or _by_number(data[0].count(",") + 1, params)
    if state is None or state.categories or params.separator != ",":
        return None
    commas = len(state.inputs) - 1
    if any(row.count(",") != commas for row in data):
        return None
    text = ",".join(data).encode()
    if text.translate(None, _OF_NUMBERS):
        return None
    try:
        numbers = orjson.loads(b"[%b]" % text)
    except ValueError:
        return None
    packed = struct.pack(f"{len(numbers)}d", *numbers)  # half the time of np.array
    values = np.frombuffer(packed).reshape(len(data), -1)
    if not np.abs(values).max() <= LARGEST:
        return None
    if bounds is None:
        narrow_NF = values.astype(np.float32)
    else:
        scale = scaling(state, bounds)
        narrow_NF = scaled(values, scale.shift_F, scale.scale_F, "data")
    return TableBatch(
        values_NF=narrow_NF,
        names=state.features,
        uris=[str(i) for i in range(1, len(data) + 1)],
    )


def _by_number(columns: int, params: CsvParams) -> CsvState | None:
    """The columns of a model that was put into the repository by hand, where all are inputs."""
    named = {params.id, *params.label, *params.ignore}
    if params.categoricals_mapping or any(name.isdecimal() for name in named):
        return None
    return _numbered(columns)


@lru_cache(maxsize=64)
def _numbered(columns: int) -> CsvState:
    names = [str(i) for i in range(columns)]
    return CsvState(header=names, kept=names)
