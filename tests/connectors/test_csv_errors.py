"""What the csv connector refuses, and how it says where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dd_ray.connectors.csv import CSV, CsvParams
from dd_ray.errors import BadInput
from tests.conftest import Write

BAD_TABLES: list[tuple[list[str], dict[str, Any], str]] = [
    (
        ["a,y", "1,0", "2,0,9"],
        {},
        "t.csv, line 3: line has more columns than headers: 3, expected 2",
    ),
    (["a,y", "1,0", "2"], {}, "t.csv, line 3: line has fewer columns than headers: 1, expected 2"),
    (["a,y", "1,0", "x,0"], {}, "t.csv, line 3: column a is not a number.*'x'"),
    (["a,y", "1,0", "12abc,0"], {}, "line 3: column a is not a number.*'12abc'"),
    (["a,y", "1,0", "nan,0"], {}, "line 3: column a is not a number.*'nan'"),
    (["a,y", "1,0", "", "-inf,0"], {}, "line 4: column a is not a number.*'-inf'"),
    (["a,y", "1,0", "-1e39,0"], {}, "line 3: column a is beyond 3.4e.38: '-1e39'"),
    (["a,y", "1,0", "2,3.5e38"], {}, "line 3: column y is beyond 3.4e.38"),
    (["a,y", "1,0", "NA,0"], {}, "line 3: column a is not a number.*'NA'"),
    (["a,y", "1,0", "0x10,0"], {}, "line 3: column a is not a number"),
    (["a,y", "1,0", "1_000,0"], {}, "line 3: column a is not a number"),
    (["a,y", "1,0", "2,"], {}, "line 3: column y is empty"),
    (["a,y", "1,0", "2,"], {"classes": 2}, "line 3: column y is empty"),
    (["a,y", "1,0", ",1"], {"missing_ok": False}, "line 3: column a is empty"),
    (
        ["a,y", "1,0", "2,3"],
        {"classes": 3},
        "line 3: label 3 of column y is not a class, expected an integer from 0 to 2",
    ),
    (["a,y", "1,0", "2,-1"], {"classes": 3}, "line 3: label -1 of column y is not a class"),
    (["a,y", "1,0", "2,0.5"], {"classes": 3}, "line 3: label 0.5 of column y is not a class"),
    (
        ["a,y", "1,1", "2,4"],
        {"classes": 3, "label_offset": -1},
        "line 3: label 4 of column y with label_offset -1.*from 1 to 3",
    ),
    (["a,y", "1,p", "2,q"], {}, "line 2: column y is not a number"),
    (
        ["a,y", "1,p", "2,q", "3,r"],
        {"classes": 2},
        "column y has 3 different labels.*nclasses is 2",
    ),
    (["a,a,y", "1,2,0"], {}, "column a stands twice"),
    (["a,y"], {}, "t.csv has a header and no rows"),
    ([], {}, "t.csv is empty"),
    (["a,b", "1,2"], {}, "cannot find label column y in .*t.csv, which has a, b"),
    (["a,y", "1,2"], {"id": "k"}, "cannot find id column k"),
    (["a,y", "1,2"], {"categoricals": ["t"]}, "cannot find categorical column t"),
    (["a,y", "1,2"], {"label": ""}, "missing label column parameter"),
    (["a,y", "1,2"], {"test_split": 0.9}, "test_split 0.9 of 1 rows leaves none to train"),
    (["a,y", "1,2"], {"min_vals": [1], "max_vals": [1]}, "1 bounds for 2 columns.*a, y"),
    (["a,y", "1,2"], {"min_vals": [1]}, "min_vals has 1 values and max_vals 0"),
    (["a,y", '1,"2'], {}, "t.csv, line 2: unexpected end of data"),
]


@pytest.mark.parametrize("db", [False, True])
@pytest.mark.parametrize(("lines", "given", "message"), BAD_TABLES)
def test_a_bad_table_is_refused_by_file_line_and_column(
    write: Write, tmp_path: Path, lines: list[str], given: dict[str, Any], message: str, db: bool
) -> None:
    path = write("t.csv", *lines)
    params = CsvParams.merge(
        {"label": "y", "db": db}
        | {key: value for key, value in given.items() if key not in ("classes", "missing_ok")}
    )
    with pytest.raises(BadInput) as caught:
        CSV.dataset(
            [path],
            params,
            scratch=tmp_path,
            missing_ok=given.get("missing_ok", True),
            classes=given.get("classes"),
        )
    assert re.search(message, caught.value.message), caught.value.message


def refusal(data: list[str], tmp_path: Path, **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        CSV.dataset(
            data,
            CsvParams.merge({"label": "y"} | given),
            scratch=tmp_path,
            missing_ok=True,
            classes=2,
        )
    return caught.value.message


def test_a_number_that_scaling_takes_past_single_precision(write: Write, tmp_path: Path) -> None:
    path = write("t.csv", "a,y", "0,0", "3e38,0")
    message = refusal([path], tmp_path, min_vals=[0, 0], max_vals=[0.1, 1])
    assert message.startswith("column a: a value is beyond 3.4e+38 after scaling")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(["/no/such/file.csv"], tmp_path) == (
        "cannot open file /no/such/file.csv: no such file or directory"
    )


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,y\n1,0\n\xff\xfe,1\n")
    assert "t.csv" in refusal([str(path)], tmp_path)
    path.write_bytes(bytes(range(256)))
    assert "t.csv" in refusal([str(path)], tmp_path)


def test_lines_in_the_call_are_named_too(tmp_path: Path) -> None:
    assert refusal(["a,y", "1,0\nx,1"], tmp_path).startswith("data, line 3: column a")


def test_a_test_set_without_a_column(write: Write, tmp_path: Path) -> None:
    train, test = write("a.csv", "a,y", "1,0", "2,1"), write("b.csv", "y", "0")
    assert refusal([train, test], tmp_path) == f"{test}: the header has no column a"


def test_labels_and_categories_that_only_the_test_set_has(write: Write, tmp_path: Path) -> None:
    train = write("a.csv", "t,y", "u,p", "v,q")
    label = write("b.csv", "t,y", "u,p", "u,r")
    assert refusal([train, label], tmp_path, categoricals=["t"]) == (
        f"{label}, line 3: label r found in test set but not in train set"
    )
    category = write("c.csv", "t,y", "w,p")
    assert refusal([train, category], tmp_path, categoricals=["t"]) == (
        f"{category}, line 2: unknown category w for variable t"
    )


def test_files_and_content_do_not_mix(write: Write, tmp_path: Path) -> None:
    assert "data mixes files and content" in refusal([write("a.csv", "a,y"), "1,2"], tmp_path)


def test_folders_need_the_same_columns_and_files(write: Write, tmp_path: Path) -> None:
    write("d/1.csv", "a,y", "1,0")
    write("d/2.csv", "b,y", "1,0")
    assert "2.csv: column 'a' is not in both" in refusal([str(tmp_path / "d")], tmp_path)
    (tmp_path / "empty").mkdir()
    assert "unable to find any files" in refusal([str(tmp_path / "empty")], tmp_path)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"separator": ""}, "separator"),
        ({"test_split": 1.0}, "test_split"),
        ({"test_split": "half"}, "test_split"),
        ({"scale": 1}, "scale"),
        ({"seed": 1.5}, "seed"),
        ({"label": 3}, "label"),
        ({"ignore": "x", "min_vals": "1"}, "min_vals"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput, match=rf"parameters\.input\.{field}"):
        CsvParams.merge(given)
