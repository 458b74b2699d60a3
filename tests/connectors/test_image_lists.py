"""Training and test sets in list files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dd_ray.errors import BadInput
from tests.conftest import Write
from tests.connectors.image_data import save, train


@pytest.fixture
def listed(write: Write, tmp_path: Path) -> Any:
    """Writes a list of labels, a line for each, beside an image that all lines name."""
    save(tmp_path / "i.png")

    def write_list(*labels: str, name: str = "list.txt") -> str:
        return write(name, *(f"i.png {label}" for label in labels))

    return write_list


def targets(examples: Any) -> list[list[float]]:
    result: list[list[float]] = examples.targets_NT.tolist()
    return result


def test_one_number_is_a_class(listed: Any) -> None:
    dataset, state = train(listed("1", "0", "1.0"))
    assert targets(dataset.train) == [[1], [0], [1]]
    assert (state.class_names, state.classes, state.label_count) == ([], 2, 1)
    assert dataset.train.read(2).shape == (227, 227, 3)


def test_texts_are_numbered_by_first_appearance(listed: Any) -> None:
    training, test = listed("dog", "cat", "dog", "7"), listed("cat", "7", "2", name="test.txt")
    dataset, state = train(training, test, classes=3)
    assert targets(dataset.train) == [[0], [1], [0], [2]]
    assert dataset.class_names == tuple(state.class_names) == ("dog", "cat", "7")
    assert targets(dataset.tests[0].examples) == [[1], [2], [2]]
    assert dataset.tests[0].name == test


def test_a_list_may_test_classes_of_folders_by_name_or_number(listed: Any, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        save(tmp_path / "set" / name / "1.png")
    dataset, _ = train(str(tmp_path / "set"), listed("bee", "0", "ant"))
    assert targets(dataset.tests[0].examples) == [[1], [0], [0]]


def test_numbers_are_targets_where_labels_are_no_classes(listed: Any) -> None:
    assert targets(train(listed("1.5", "-2e3"), classes=None)[0].train) == [[1.5], [-2000]]
    several = listed("0.1 7", "1 -1")
    dataset, state = train(several, classes=None)
    assert targets(dataset.train) == [[0.1, 7], [1, -1]]
    assert (state.classes, state.label_count) == (None, 2)


def test_several_labels_say_for_each_class_whether_it_applies(listed: Any) -> None:
    for said in (True, False):
        dataset, state = train(listed("0 1 1", "1 -1 0"), classes=3, multi_label=said)
        assert targets(dataset.train) == [[0, 1, 1], [1, -1, 0]]
        assert (state.classes, state.label_count) == (3, 3)


def test_soft_labels_are_numbers(listed: Any) -> None:
    dataset, _ = train(listed("0.25 0.75"), classes=None, multi_label=True)
    assert targets(dataset.train) == [[0.25, 0.75]]


def test_an_autoencoder_needs_no_label_and_reads_none(listed: Any) -> None:
    dataset, _ = train(listed("", "x y"), classes=None, autoencoder=True)
    assert targets(dataset.train) == [[], []]


def test_empty_lines_and_tabs_and_windows_endings(tmp_path: Path) -> None:
    save(tmp_path / "é.png")
    path = tmp_path / "list.txt"
    path.write_bytes("\r\né.png\t 1 \r\n\n  é.png 0".encode())
    assert targets(train(str(path))[0].train) == [[1], [0]]


BAD_LISTS: list[tuple[list[str], dict[str, Any], str]] = [
    (["0", "2"], {}, ", line 2: label 2 is not a class, expected an integer from 0 to 1"),
    (["0", "-1"], {}, ", line 2: label -1 is not a class"),
    (["0", "0.5"], {}, ", line 2: label 0.5 is not a class"),
    (["0", "nan"], {"classes": 1}, " has 2 different labels, nclasses is 1: 0, nan"),
    (["a", "b", "c"], {}, " has 3 different labels, nclasses is 2: a, b, c"),
    (["0", ""], {}, ", line 2: 0 labels, expected 1 as in line 1"),
    ([""], {}, ", line 1: no label after the path"),
    (["0 1", "1 0 1"], {}, ", line 2: 3 labels, expected 2 as in line 1"),
    (["0 1", "1 2"], {}, ", line 2: label '2' of several, expected 0 or 1, or a negative"),
    (["0 1", "0.5 1"], {}, ", line 2: label '0.5' of several"),
    (["0 1", "x 1"], {}, ", line 2: label 'x' of several"),
    (["0 1 1"], {}, ", line 1: 3 labels, expected one class, or a 0 or 1 for each class (nclasses"),
    (["0", "1"], {"multi_label": True}, ", line 1: 1 labels, expected one class, or"),
    (["1", "x"], {"classes": None}, ", line 2: label 'x' is not a number"),
    (["1", "inf"], {"classes": None}, ", line 2: label 'inf' is not a number"),
    (["1", "1e39"], {"classes": None}, ", line 2: label '1e39' is not a number"),
    (["1", "1_0"], {"classes": None}, ", line 2: label '1_0' is not a number"),
    ([], {}, " is empty, expected lines `path label`"),
]


@pytest.mark.parametrize(("labels", "given", "message"), BAD_LISTS)
def test_a_bad_list_is_refused_by_its_line(
    listed: Any, labels: list[str], given: dict[str, Any], message: str
) -> None:
    path = listed(*labels)
    assert refusal(path, **({"classes": 2} | given)).startswith(f"{path}{message}")


def refusal(*data: str, **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        train(*data, **given)
    return caught.value.message


def test_labels_that_only_the_test_set_has(listed: Any) -> None:
    training = listed("a", "b")
    text = listed("b", "c", name="text.txt")
    assert refusal(training, text) == (
        f"{text}, line 2: label c found in test set but not in train set"
    )
    several = listed("0 1", name="several.txt")
    assert refusal(training, several) == (
        f"{several}, line 1: 2 labels, expected 1 as in the training set"
    )


def test_a_folder_cannot_test_several_labels(listed: Any, tmp_path: Path) -> None:
    save(tmp_path / "set" / "0" / "1.png")
    assert "labels are not one class for each image" in refusal(
        listed("0 1"), str(tmp_path / "set")
    )


def test_the_first_missing_image_is_named_by_its_line(write: Write, tmp_path: Path) -> None:
    image = save(tmp_path / "1.png")
    path = write("list.txt", f"{image} 0", "", "none.png 0", "other.png 0")
    assert refusal(path) == (
        f"{path}, line 3: no image file none.png or {tmp_path}/none.png (lines are `path label`; a"
        " path has no blanks)"
    )
    folder = write("folder.txt", f"{tmp_path} 0")
    assert refusal(folder).startswith(f"{folder}, line 1: no image file {tmp_path} (")


def test_paths_are_relative_to_the_working_directory_then_to_the_list(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder, name in ((here, "a.png"), (beside, "a.png"), (beside, "b.png")):
        save(folder / name)
    path = write("beside/list.txt", "a.png 0", "b.png 1", f"{beside}/a.png 1")
    monkeypatch.chdir(here)
    dataset, _ = train(path)
    assert dataset.train.paths == ["a.png", f"{beside}/b.png", f"{beside}/a.png"]


def test_root_folder_is_where_relative_paths_begin(write: Write, tmp_path: Path) -> None:
    image = save(tmp_path / "root" / "x" / "1.png")
    save(tmp_path / "2.png")
    root = str(tmp_path / "root")
    dataset, _ = train(write("list.txt", "x/1.png 0", f"{image} 1"), root_folder=root)
    assert dataset.train.paths == [image, image]
    message = refusal(write("list.txt", "2.png 0"), root_folder=root)
    assert f"line 1: no image file {root}/2.png (" in message


def test_an_image_is_not_a_list(tmp_path: Path) -> None:
    path = save(tmp_path / "1.jpg")
    assert refusal(path) == (
        f"{path}: not UTF-8 text at byte 0, expected a folder of class folders, or a list file with"
        " lines `path label`"
    )
