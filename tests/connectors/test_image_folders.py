"""Training and test sets in class folders."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from dd_ray.connectors.image_state import ImageState
from dd_ray.errors import BadInput
from tests.conftest import Write
from tests.connectors.image_data import save, train


def fill(folder: Path, *names: str) -> str:
    for name in names:
        save(folder / f"{name}.png")
    return str(folder)


def labels(examples: Any) -> dict[str, int]:
    """The class of each file, by its name without ending."""
    paths, targets_NT = examples.paths, examples.targets_NT
    return {Path(p).stem: int(t) for p, t in zip(paths, targets_NT[:, 0], strict=True)}


def refusal(*data: str, classes: int | None = 2, **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        train(*data, classes=classes, **given)
    return caught.value.message


def test_classes_are_numbered_in_the_order_of_their_names(tmp_path: Path) -> None:
    dataset, state = train(fill(tmp_path, "dog/2", "cat/1", "dog/3", "Ant/4"), classes=3)
    assert dataset.class_names == ("Ant", "cat", "dog")
    assert state.class_names == ["Ant", "cat", "dog"]
    assert labels(dataset.train) == {"4": 0, "1": 1, "2": 2, "3": 2}
    assert dataset.tests == ()


def test_files_are_found_in_folders_of_folders_and_sorted(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "5.png")
    fill(tmp_path / "set", "a/z", "a/b/c/1", "a/a", "a/.hidden", "a/.git/2", ".cache/3", "4")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    dataset, state = train(str(tmp_path / "set"))
    assert state.class_names == ["a", "linked"]
    assert list(labels(dataset.train)) == ["a", "1", "z", "5"]


def test_test_folders_are_matched_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = fill(tmp_path / "train", "a/1", "b/2", "c/3")
    one = fill(tmp_path / "one", "b/4", "c/5")
    two = fill(tmp_path / "two", "aa/6", "a/7", "zz/8")
    with caplog.at_level(logging.INFO):
        dataset, _ = train(training, one, two, classes=3)
    assert [test.name for test in dataset.tests] == [one, two]
    assert [labels(test.examples) for test in dataset.tests] == [{"4": 1, "5": 2}, {"7": 0}]
    assert caplog.messages == ["class folders unknown to the training skipped: ['aa', 'zz']"]


def test_a_test_folder_without_a_known_class_is_refused(tmp_path: Path) -> None:
    training, other = fill(tmp_path / "t", "a/1", "b/2"), fill(tmp_path / "o", "c/1")
    assert refusal(training, other) == f"{other} has no images in class folders named a, b"


def test_test_folders_of_a_list_are_named_by_class_numbers(write: Write, tmp_path: Path) -> None:
    image = save(tmp_path / "1.png")
    listed = write("list.txt", f"{image} 0", f"{image} 10")
    folder = fill(tmp_path / "test", "10/a", "2/b", "11/c", "x/d")
    dataset, _ = train(listed, folder, classes=11)
    assert labels(dataset.tests[0].examples) == {"a": 10, "b": 2}
    nothing = fill(tmp_path / "none", "x/d")
    assert "has no images in class folders named by class numbers" in refusal(
        listed, nothing, classes=11
    )


def test_more_folders_than_classes_are_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1", "b/2", "c/3")
    assert refusal(folder) == f"{folder} has 3 class folders, nclasses is 2: a, b, c"
    assert len(train(folder, classes=5)[0].train) == 3


def test_folders_that_cannot_be_a_training_set(tmp_path: Path) -> None:
    folder = fill(tmp_path / "flat", "1", "2")
    assert refusal(folder).startswith(f"{folder} has no class folders: expected")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    assert "has no images in class folders named a" in refusal(str(tmp_path / "empty"))
    classes = fill(tmp_path / "classes", "a/1")
    assert refusal(classes, multi_label=True) == (
        f"{classes} is a folder, multi_label requires a list file"
    )
    assert refusal(classes, classes=None) == (
        f"{classes} is a folder, but labels are not one class for each image: expected a list file"
    )


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    message = refusal("/no/such/folder")
    assert message.startswith(
        "image input connector folders or image list /no/such/folder does not exist"
    )
    assert "list /no/test does not" in refusal(fill(tmp_path, "a/1"), "/no/test")


def test_an_autoencoder_needs_no_labels(tmp_path: Path) -> None:
    flat, classes = fill(tmp_path / "f", "1", "2"), fill(tmp_path / "c", "a/3", "b/4")
    for folder in (flat, classes):
        dataset, state = train(folder, classes=None, autoencoder=True)
        assert dataset.train.targets_NT.shape == (2, 0)
        assert (state.class_names, dataset.class_names) == ([], ())
    (tmp_path / "none").mkdir()
    assert "none has no images" in refusal(str(tmp_path / "none"), autoencoder=True)


def split(dataset: Any) -> tuple[list[str], list[str]]:
    parts = [dataset.train, *(test.examples for test in dataset.tests)]
    train_part, test_part = (list(labels(part)) for part in parts)
    return train_part, test_part


def test_the_split_is_plain_and_named_split(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1", "a/2", "a/3", "b/4")
    dataset, _ = train(folder, test_split=0.3)
    assert split(dataset) == (["1", "2"], ["3", "4"])
    assert dataset.tests[0].name == "split"
    assert labels(dataset.tests[0].examples) == {"3": 0, "4": 1}


def test_the_set_is_shuffled_before_the_split_by_the_seed(tmp_path: Path) -> None:
    folder = fill(tmp_path, *(f"a/{i:02}" for i in range(20)))
    first, again, other = (
        split(train(folder, test_split=0.5, shuffle=True, seed=seed)[0]) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sorted(first[0] + first[1]) == [f"{i:02}" for i in range(20)]


def test_a_split_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1")
    assert refusal(folder, test_split=0.5) == "test_split 0.5 of 1 images leaves none to train"


def test_test_sets_of_the_call_replace_the_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, test = fill(tmp_path / "a", "a/1", "b/2"), fill(tmp_path / "b", "a/3")
    with caplog.at_level(logging.INFO):
        dataset, _ = train(folder, test, test_split=0.5)
    assert (len(dataset.train), [t.name for t in dataset.tests]) == (2, [test])
    assert caplog.messages == ["test_split ignored: the call has test sets of its own"]


def test_the_sets_share_one_cache(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1", "b/2")
    dataset, _ = train(folder, folder)
    before = dataset.tests[0].examples.read(0)
    assert dataset.train.read(0) is before


def test_what_was_learned_is_kept_as_json(tmp_path: Path) -> None:
    _, state = train(fill(tmp_path, "a/1", "b/2"), classes=4)
    kept = ImageState.model_validate_json(state.model_dump_json())
    assert kept == state
    assert (kept.classes, kept.label_count) == (4, 1)
