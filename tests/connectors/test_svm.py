"""The svm connector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dd_ray.connectors.svm import SVM, SvmParams, SvmState
from dd_ray.data import InMemory, SparseBatch
from dd_ray.errors import BadInput
from tests.conftest import Write


def train(*data: str, tmp_path: Path, classes: int | None = 2, **given: Any) -> Any:
    return SVM.dataset(
        data, SvmParams.merge(given), scratch=tmp_path, missing_ok=True, classes=classes
    )


def read(*data: str, state: SvmState | None, labelled: bool = False) -> SparseBatch:
    return SVM.read(data, SvmParams.merge({}), state, labelled=labelled, missing_ok=True)


def batch(examples: InMemory) -> SparseBatch:
    assert isinstance(examples.batch, SparseBatch)
    return examples.batch


def test_lines_become_a_sparse_matrix(tmp_path: Path) -> None:
    dataset, state = train("1 0:1 3:2.5 # note", "0 1:4", tmp_path=tmp_path)
    found = batch(dataset.train)
    assert found.values_NF.toarray().tolist() == [[1, 0, 0, 2.5], [0, 4, 0, 0]]
    assert found.targets_NT is not None
    assert found.targets_NT.tolist() == [[1], [0]]
    assert (state.features, state.width) == ([0, 1, 3], 4)


def test_files_are_train_and_test_sets(write: Write, tmp_path: Path) -> None:
    one, two = write("a.svm", "1 0:1", "", "0 2:1"), write("b.svm", "1 2:3 7:1")
    dataset, _ = train(one, two, tmp_path=tmp_path)
    assert len(dataset.train) == 2
    assert dataset.tests[0].name == two
    assert batch(dataset.tests[0].examples).values_NF.toarray().tolist() == [[0, 0, 3]]


def test_split_is_plain(tmp_path: Path) -> None:
    dataset, _ = train(*(f"{i % 2} {i}:1" for i in range(4)), test_split=0.5, tmp_path=tmp_path)
    assert (len(dataset.train), len(dataset.tests[0].examples)) == (2, 2)


def test_unknown_features_are_dropped_at_predict() -> None:
    found = read("1:2 9:5", state=SvmState(features=[0, 1]))
    assert found.values_NF.toarray().tolist() == [[0, 2]]
    assert found.uris == ["0"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 1:1e39", "invalid argument error"),
        ("1 a:1", "invalid argument error reading SVM format line: 1 a:1"),
        ("1 0:x", "invalid argument"),
        ("1 0:nan", "invalid argument"),
        ("1 -1:2", "invalid argument"),
        ("1 0", "invalid argument"),
        ("1 0:1 0:2", "a feature stands twice"),
        ("0:1", "no label"),
        ("2 0:1", "label 2 is not a class, expected 0 to 1"),
        ("", "no data could be found"),
    ],
)
def test_a_bad_line_is_refused(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        train(line, tmp_path=tmp_path)


def test_nothing_known_is_refused_and_a_folder_too(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="index might be out of bounds"):
        read("5:1", state=SvmState(features=[0]))
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "x.svm").write_text("1 0:1\n")
    with pytest.raises(BadInput, match="is a directory, requires a file in libSVM format"):
        train(str(tmp_path / "f"), tmp_path=tmp_path)
