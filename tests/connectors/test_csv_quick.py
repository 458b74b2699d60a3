"""Rows of plain numbers: the quick way says what the long way says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray.connectors.csv import CsvParams
from dd_ray.connectors.csv_quick import is_quick, quick_rows
from dd_ray.connectors.csv_rows import read_rows
from dd_ray.connectors.csv_state import Bounds, CsvState
from dd_ray.errors import BadInput

STATE = CsvState(
    header=["id", "a", "b", "c", "y"], kept=["id", "a", "b", "c", "y"], id="id", labels=["y"]
)
PARAMS = CsvParams.merge({})

CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e3, 1e3).map(lambda value: f"{value:.3f}"),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["", ".5", "1.", "+1", "01", "-0", "1e5", "1e400", "--1", "1-2", "e", "1_0"]),
)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=6).map(",".join), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.booleans(), st.sampled_from([STATE, None]), st.sampled_from(["", "y", "1"]))
def test_both_ways_agree(rows: list[str], scaled: bool, state: CsvState | None, id: str) -> None:
    bounds = Bounds(low=[0, 0, -1, 2, 0], high=[0, 2, 1, 3, 0]) if scaled else None
    params = CsvParams.merge({"id": id})
    try:
        quick = quick_rows(rows, params, state, bounds) if is_quick(rows) else None
    except BadInput:
        with pytest.raises(BadInput):
            read_rows(rows, params, state, bounds, labelled=False, missing_ok=True)
        return
    if quick is None:
        return  # the long way it is
    long = read_rows(rows, params, state, bounds, labelled=False, missing_ok=True)
    np.testing.assert_array_equal(quick.values_NF, long.values_NF)
    assert (list(quick.uris), quick.names) == (list(long.uris), long.names)


@pytest.mark.parametrize("row", ["1.5,2,3", "-1e3,0.25,7", "0,-0,12345678"])
def test_plain_rows_go_the_quick_way(row: str) -> None:
    assert is_quick([row])
    batch = quick_rows([row, row], PARAMS, STATE, None)
    assert batch is not None
    assert batch.values_NF[1].tolist() == [np.float32(cell) for cell in row.split(",")]


@pytest.mark.parametrize(
    "rows",
    [
        ["1,2,3,4"],  # with an id or a label
        ["1,2,3", "1,2"],
        ["1,2,"],
        ["1,2,3e99"],
        ["1,2,true"],
        ['"1",2,3'],
        ["[1],2,3"],
        ["1,2,3\n4,5,6"],
        ["a,b,c", "1,2,3"],
    ],
)
def test_everything_else_goes_the_long_way(rows: list[str]) -> None:
    assert quick_rows(rows, PARAMS, STATE, None) is None


def test_a_model_without_a_training_has_numbered_columns() -> None:
    batch = quick_rows(["1,2", "3,4"], CsvParams.merge({"id": "x"}), None, None)
    assert batch is not None
    assert (batch.names, batch.values_NF.tolist()) == (("0", "1"), [[1, 2], [3, 4]])


def test_other_models_go_the_long_way() -> None:
    categories = STATE.replace(categories={"a": {"x": 0}})
    assert quick_rows(["1,2,3"], PARAMS, categories, None) is None
    assert quick_rows(["1,2,3"], CsvParams.merge({"id": "1"}), None, None) is None
    assert quick_rows(["1,2,3"], CsvParams.merge({"separator": ";"}), STATE, None) is None


def test_much_data_is_not_quick() -> None:
    assert not is_quick(["1,2,3"] * 2000)
    assert not is_quick(["1," * 40_000])
    assert not is_quick(["/some/file.csv"])


def test_bounds_beyond_single_precision_are_refused() -> None:
    bounds = Bounds(low=[0, 0, 0, 0, 0], high=[0, 1e-300, 1, 1, 0])
    with pytest.raises(BadInput, match="after scaling"):
        quick_rows(["1,2,3"], PARAMS, STATE, bounds)
