"""Rows of predict calls to the csv connector."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray.connectors.csv import CSV, CsvParams
from dd_ray.connectors.csv_state import Bounds, CsvState
from dd_ray.data import TableBatch
from dd_ray.errors import BadInput
from tests.conftest import SetSettings, Write
from tests.guard.web import send, serving

PLAIN = CsvState(header=["k", "a", "z", "b", "y"], kept=["k", "a", "b", "y"], id="k", labels=["y"])
WORDS = CsvState(
    header=["a", "t", "y"], kept=["a", "t", "y"], labels=["y"], categories={"t": {"u": 0, "v": 1}}
)


def read(
    *data: str, state: CsvState | None = PLAIN, labelled: bool = False, **given: Any
) -> TableBatch:
    missing_ok = given.pop("missing_ok", True)
    params = CsvParams.merge(given)
    return CSV.read(data, params, state, labelled=labelled, missing_ok=missing_ok)


@pytest.mark.parametrize(
    "data",
    [
        ["1,2", "3,4"],
        ["1,2\n3,4"],
        ["p,1,2,0", "q,3,4,1"],  # the kept columns
        ["p,1,9,2,0", "q,3,9,4,1"],  # the whole file
        ["p,1,2", "q,3,4"],  # without the label
        ["b,a", "2,1", "4,3"],  # a header, in another order
        ["a,b\n1,2\n3,4\n"],
        ["y,b,extra,a", "0,2,9,1", "1,4,9,3"],
    ],
)
def test_rows_are_matched_by_header_or_width(data: list[str]) -> None:
    assert read(*data).values_NF.tolist() == [[1, 2], [3, 4]]


def test_rows_are_numbered_over_all_strings_or_named_by_their_id() -> None:
    assert read("1,2\n3,4", "5,6").uris == ["1", "2", "3"]
    assert read("k,a,b", "007,1,2").uris == ["007"]


def test_a_header_of_a_table_with_words() -> None:
    assert read("a,t", "1,v", "2,u", state=WORDS).values_NF.tolist() == [[1, 0, 1], [2, 1, 0]]
    assert read("1,v", state=WORDS).values_NF.tolist() == [[1, 0, 1]]


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(BadInput, match=r"data\[0\], line 2: unknown category w for variable t"):
        read("1,v\n2,w", state=WORDS)


def test_stored_bounds_scale_whether_the_call_says_so_or_not() -> None:
    state = PLAIN.replace(bounds=Bounds(low=[0, 0, 10, 0], high=[0, 4, 10, 1]))
    for extra in ({}, {"scale": True}):
        assert read("1,2", state=state, **extra).values_NF.tolist() == [[0.25, 2]]


def test_bounds_of_the_call_win() -> None:
    batch = read("1,2", min_vals=[0, 0, 0, 0], max_vals=[0, 2, 4, 0])
    assert batch.values_NF.tolist() == [[0.5, 0.5]]


def test_scale_without_bounds_anywhere_is_refused() -> None:
    with pytest.raises(BadInput, match="failed acquiring scaling min_vals or max_vals"):
        read("1,2", scale=True)


def test_labels_are_read_when_they_are_measured() -> None:
    batch = read("a,b,y", "1,2,1", labelled=True, label_offset=-1)
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[0]]
    text = PLAIN.replace(classes=["dog", "cat"])
    batch = read("p,1,2,cat", state=text, labelled=True)
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[1]]


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        (["1,2", "3,x"], {}, r"data\[1\], line 1: column b is not a number"),
        (["1,2\n3"], {}, r"data\[0\], line 2: line has fewer columns"),
        (["1,2,3,4,5,6"], {}, "6 columns, expected 2 or 3 or 4 or 5: a, b"),
        (["1,nan"], {}, "column b is not a number"),
        (["1,1e999"], {}, "column b is not a number"),
        (["1,1_0"], {}, "column b is not a number"),
        (["1,"], {"missing_ok": False}, "column b is empty"),
        (["a,y", "1,2"], {}, "the header has no column b"),
        (["a,b"], {}, "no data could be found"),
        (["\n\n"], {}, "no data could be found"),
        (["1,2"], {"labelled": True}, "cannot find label column y"),
        (['1,"2'], {"missing_ok": False}, "column b is not a number|unexpected end"),
    ],
)
def test_a_bad_row_is_named(data: list[str], given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read(*data, **given)


def test_an_empty_cell_is_missing_where_the_mllib_takes_it() -> None:
    assert np.isnan(read("1,").values_NF).tolist() == [[False, True]]


def test_without_a_state_all_but_id_label_and_ignored_are_inputs() -> None:
    given = {"state": None, "id": "k", "label": "y", "ignore": ["z"]}
    batch = read("k,a,z,b,y", "p,1,9,2,0", **given)
    assert (batch.values_NF.tolist(), batch.uris, batch.names) == ([[1, 2]], ["p"], ("a", "b"))
    assert read("1,2,3", state=None).values_NF.tolist() == [[1, 2, 3]]


def test_a_file_is_read_by_its_header(write: Write) -> None:
    path = write("p.csv", "b,k,extra,a", "2,x,9,1", "4,y,9,3")
    batch = read(path)
    assert (batch.values_NF.tolist(), batch.uris) == ([[1, 2], [3, 4]], ["x", "y"])
    no_id = write("q.csv", "a,b", "1,2")
    assert read(no_id).uris == ["1"]


def test_a_file_is_scaled_and_measured_like_lines(write: Write) -> None:
    state = PLAIN.replace(bounds=Bounds(low=[0, 0, 10, 0], high=[0, 4, 10, 1]))
    path = write("p.csv", "k,a,b,y", "x,1,2,1")
    from_file = read(path, state=state, labelled=True)
    from_lines = read("k,a,b,y", "x,1,2,1", state=state, labelled=True)
    assert from_file.values_NF.tolist() == from_lines.values_NF.tolist() == [[0.25, 2]]
    assert np.array_equal(from_file.targets_NT, from_lines.targets_NT)  # type: ignore[arg-type]
    assert read(path, state=state).values_NF.tolist() == [[0.25, 2]]


def test_a_bad_cell_of_a_file_is_named(write: Write) -> None:
    path = write("p.csv", "a,b", "1,2", "3,x")
    with pytest.raises(BadInput, match=f"{path}, line 3: column b is not a number"):
        read(path)


@pytest.fixture
def web(tmp_path: Path, loopback_allowed: None) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_a_url_is_fetched(write: Write, web: str) -> None:
    write("p.csv", "a,b", "1,2")
    assert read(f"{web}/p.csv").values_NF.tolist() == [[1, 2]]


def test_a_url_that_fails_is_named(web: str) -> None:
    with pytest.raises(BadInput, match=r"/none\.csv: answered with status 404"):
        read(f"{web}/none.csv")
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:9/x: "):
        read("http://127.0.0.1:9/x")
    with pytest.raises(BadInput, match="cannot open file /no/such"):
        read("file:///no/such")


def test_what_a_url_holds_has_a_limit(write: Write, web: str, set_settings: SetSettings) -> None:
    write("p.csv", "a,b", "1,2")
    set_settings(max_download_bytes=8)
    assert len(read(f"{web}/p.csv")) == 1
    set_settings(max_download_bytes=7)
    with pytest.raises(BadInput, match="longer than 7 bytes"):
        read(f"{web}/p.csv")


def test_a_url_has_the_time_that_the_call_says(loopback_allowed: None) -> None:
    def dripping(handler: BaseHTTPRequestHandler) -> None:
        send(handler)
        for _ in range(100):
            handler.wfile.write(b"1")
            time.sleep(0.05)

    with serving(dripping) as slow, pytest.raises(BadInput, match="it took too long"):
        read(f"{slow.url}/p.csv", timeout=0.3)


Table = st.lists(
    st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(Table)
def test_many_rows_are_read_as_each_alone(table: list[tuple[float, float]]) -> None:
    lines = [f"{a!r},{b!r}" for a, b in table]
    together = read(*lines).values_NF
    alone = np.concatenate([read(line).values_NF for line in lines])
    assert np.array_equal(together, alone)
    assert np.array_equal(together, np.array(table, np.float32))


def test_predicting_lines_imports_no_table_library() -> None:
    code = (
        "import sys\n"
        "from dd_ray.connectors.csv import CSV, CsvParams\n"
        "CSV.read(['1,2'], CsvParams.merge({}), None, labelled=False, missing_ok=True)\n"
        "assert not {'pyarrow', 'pandas', 'scipy', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("line", "given"),
    [("1e39,1", {}), ("1e39,", {}), ("3e38,1", {"min_vals": [0, 0], "max_vals": [0.1, 1]})],
)
def test_numbers_past_single_precision_are_refused(line: str, given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"beyond 3.4e.38"):
        CSV.read([line], CsvParams.merge(given), None, labelled=False, missing_ok=True)
