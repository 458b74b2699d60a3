"""Training sets of the csv connector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dd_ray.connectors.csv import CSV, CsvParams
from dd_ray.connectors.csv_state import CsvState
from dd_ray.data import Batches, Dataset, TableBatch
from tests.conftest import Write


def dataset(
    *data: str, classes: int | None = None, missing_ok: bool = True, scratch: Path, **given: Any
) -> tuple[Dataset, CsvState]:
    params = CsvParams.merge({"label": "y"} | given)
    return CSV.dataset(data, params, scratch=scratch, missing_ok=missing_ok, classes=classes)


def rows(examples: Batches) -> TableBatch:
    batches = [batch for batch in examples if isinstance(batch, TableBatch)]
    assert all(batch.targets_NT is not None for batch in batches)
    return TableBatch(
        values_NF=np.concatenate([batch.values_NF for batch in batches]),
        names=batches[0].names,
        uris=[uri for batch in batches for uri in batch.uris],
        targets_NT=np.concatenate([batch.targets_NT for batch in batches]),  # type: ignore[misc]
    )


def test_features_are_the_columns_that_are_neither_label_nor_id_nor_ignored(
    write: Write, tmp_path: Path
) -> None:
    path = write("t.csv", "k,a,b,c,y", "007,1,2,3,1", "x,4,5,6,0")
    found, state = dataset(path, id="k", ignore=["b"], scratch=tmp_path)
    train = rows(found.train)
    assert train.names == ("a", "c") == found.names
    assert train.values_NF.tolist() == [[1, 3], [4, 6]]
    assert train.values_NF.dtype == np.float32
    assert train.uris == ["007", "x"]
    assert train.targets_NT is not None
    assert train.targets_NT.tolist() == [[1], [0]]
    assert state.kept == ["k", "a", "c", "y"]


def test_lines_in_the_call_are_a_training_set(tmp_path: Path) -> None:
    found, _ = dataset("a,y", "1,0\n2,1", "3,0", scratch=tmp_path)
    assert rows(found.train).values_NF.tolist() == [[1], [2], [3]]


def test_a_folder_is_the_concatenation_of_its_files(write: Write, tmp_path: Path) -> None:
    write("d/2.csv", "y,a", "1,2")
    write("d/1.csv", "a,y", "1,0")
    write("d/notes.txt", "not a table")
    found, _ = dataset(str(tmp_path / "d"), scratch=tmp_path)
    assert rows(found.train).values_NF.tolist() == [[1], [2]]
    assert rows(found.train).targets_NT.tolist() == [[0], [1]]  # type: ignore[union-attr]


def test_quotes_blank_lines_bom_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b'\xef\xbb\xbf"a b",t,y\r\n\r\n1,"x, ""z""\nw",0\r\n2,v,1\r\n')
    found, state = dataset(str(path), categoricals=["t"], scratch=tmp_path)
    assert state.categories == {"t": {'x, "z"\nw': 0, "v": 1}}
    assert rows(found.train).values_NF.tolist() == [[1, 1, 0], [2, 0, 1]]


def test_another_separator_and_quote(write: Write, tmp_path: Path) -> None:
    path = write("s.csv", "a;t;y", "1;'p;q';0")
    found, state = dataset(path, separator=";", quote="'", categoricals=["t"], scratch=tmp_path)
    assert state.categories == {"t": {"p;q": 0}}
    assert len(found.train) == 1


def test_text_labels_become_classes_by_first_appearance(write: Write, tmp_path: Path) -> None:
    path = write("l.csv", "a,y", "1,dog", "2,cat", "3,dog")
    test = write("t.csv", "y,a", "cat,1")
    found, state = dataset(path, test, classes=2, scratch=tmp_path)
    assert found.class_names == ("dog", "cat") == tuple(state.classes)
    assert rows(found.train).targets_NT.tolist() == [[0], [1], [0]]  # type: ignore[union-attr]
    assert rows(found.tests[0].examples).targets_NT.tolist() == [[1]]  # type: ignore[union-attr]


def test_label_offset_is_added(write: Write, tmp_path: Path) -> None:
    path = write("o.csv", "a,y", "1,1", "2,3")
    found, _ = dataset(path, label_offset=-1, classes=3, scratch=tmp_path)
    assert rows(found.train).targets_NT.tolist() == [[0], [2]]  # type: ignore[union-attr]


def test_several_labels_share_one_offset(write: Write, tmp_path: Path) -> None:
    path = write("m.csv", "a,y,z", "1,1,2")
    found, _ = dataset(path, label=["y", "z"], label_offset=[10], scratch=tmp_path)
    assert rows(found.train).targets_NT.tolist() == [[11, 12]]  # type: ignore[union-attr]


def test_scaling_is_over_all_rows_before_the_split(write: Write, tmp_path: Path) -> None:
    path = write("s.csv", "k,a,c,y", "p,0,5,1", "q,10,5,3", "r,40,5,2", "s,20,5,2")
    found, state = dataset(path, id="k", scale=True, test_split=0.5, scratch=tmp_path)
    assert CSV.learned(CsvParams.merge({}), state) == {
        "connector": "csv",
        "min_vals": [0, 0, 5, 1],
        "max_vals": [0, 40, 5, 3],
    }
    assert rows(found.train).values_NF.tolist() == [[0, 5], [0.25, 5]]
    assert rows(found.tests[0].examples).values_NF.tolist() == [[1, 5], [0.5, 5]]
    assert found.tests[0].name == "split"


def test_bounds_can_be_given_instead_of_scale(write: Write, tmp_path: Path) -> None:
    path = write("b.csv", "a,y", "5,1")
    found, state = dataset(path, min_vals=[0, 0], max_vals=[10, 1], scratch=tmp_path)
    assert rows(found.train).values_NF.tolist() == [[0.5]]
    assert state.bounds is not None


def test_znorm_uses_the_population_variance(write: Write, tmp_path: Path) -> None:
    path = write("z.csv", "a,y", "1,0", "3,1")
    found, state = dataset(path, scale=True, scale_type="znorm", scratch=tmp_path)
    assert rows(found.train).values_NF.tolist() == [[-1], [1]]
    assert CSV.learned(CsvParams.merge({}), state)["variance_vals"] == [1.0, 0.25]


def test_categories_are_one_hot_in_place_and_mapped_by_first_appearance(
    write: Write, tmp_path: Path
) -> None:
    path = write("c.csv", "a,t,b,y", "1,red,7,0", "2,,8,1", "3,1.0,9,0")
    found, state = dataset(path, categoricals=["t"], scratch=tmp_path)
    assert found.names == ("a", "t_red", "t_", "t_1.0", "b")
    assert rows(found.train).values_NF.tolist() == [
        [1, 1, 0, 0, 7],
        [2, 0, 1, 0, 8],
        [3, 0, 0, 1, 9],
    ]
    assert CSV.learned(CsvParams.merge({}), state) == {
        "connector": "csv",
        "categoricals_mapping": {"t": {"red": 0, "": 1, "1.0": 2}},
    }


def test_a_given_mapping_keeps_its_numbers(write: Write, tmp_path: Path) -> None:
    path = write("g.csv", "t,y", "new,0", "old,1")
    _, state = dataset(path, categoricals_mapping={"t": {"old": 0, "never": 1}}, scratch=tmp_path)
    assert state.categories == {"t": {"old": 0, "never": 1, "new": 2}}


def test_an_empty_cell_is_missing_where_the_mllib_takes_it(write: Write, tmp_path: Path) -> None:
    path = write("n.csv", "a,b,y", "1,,0", ",2,1")
    found, _ = dataset(path, scratch=tmp_path)
    assert np.isnan(rows(found.train).values_NF).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("db", [False, True])
def test_split_takes_the_floor_of_the_rest(write: Write, tmp_path: Path, db: bool) -> None:
    path = write("s.csv", "a,y", *(f"{i},0" for i in range(4)))
    found, _ = dataset(path, test_split=0.3, db=db, scratch=tmp_path)
    assert rows(found.train).values_NF.ravel().tolist() == [0, 1]  # 4 * 0.7 = 2.8
    assert rows(found.tests[0].examples).values_NF.ravel().tolist() == [2, 3]


def test_the_same_seed_shuffles_alike(write: Write, tmp_path: Path) -> None:
    path = write("s.csv", "a,y", *(f"{i},0" for i in range(50)))
    orders = []
    for seed in (7, 7, 8):
        found, _ = dataset(path, shuffle=True, seed=seed, scratch=tmp_path)
        orders.append(rows(found.train).values_NF.ravel().tolist())
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(50))


def test_a_test_set_of_its_own_replaces_the_split(write: Write, tmp_path: Path) -> None:
    path = write("s.csv", "a,y", "1,0", "2,1")
    test = write("t.csv", "y,other,a", "1,9,5")
    found, _ = dataset(path, test, test_split=0.5, scratch=tmp_path)
    assert len(found.train) == 2
    assert [test_set.name for test_set in found.tests] == [test]
    assert rows(found.tests[0].examples).values_NF.tolist() == [[5]]


def test_on_disk_and_in_memory_are_the_same(write: Write, tmp_path: Path) -> None:
    lines = [f"{i},{i * 0.5},{'abc'[i % 3]},{'uv'[i % 2]}" for i in range(100)]
    path = write("d.csv", "k,a,t,y", *lines)
    given: dict[str, Any] = {"id": "k", "scale": True, "categoricals": ["t"], "test_split": 0.2}
    found, state = dataset(path, classes=2, scratch=tmp_path, **given)
    on_disk, state_of_disk = dataset(path, classes=2, db=True, scratch=tmp_path, **given)
    assert state_of_disk == state
    assert found.train.folder is None
    assert on_disk.train.folder is not None
    for one, other in (
        (found.train, on_disk.train),
        (found.tests[0].examples, on_disk.tests[0].examples),
    ):
        a, b = rows(one), rows(other)
        assert np.array_equal(a.values_NF, b.values_NF)
        assert a.uris == b.uris
        assert np.array_equal(a.targets_NT, b.targets_NT)  # type: ignore[arg-type]
        assert len(one) == len(other)


def test_state_survives_its_json(write: Write, tmp_path: Path) -> None:
    path = write("j.csv", "a,t,y", "0.1,é,p", "0.30000000000000004,\U0001f600,q")
    _, state = dataset(path, scale=True, categoricals=["t"], classes=2, scratch=tmp_path)
    assert CsvState.model_validate_json(state.model_dump_json()) == state
