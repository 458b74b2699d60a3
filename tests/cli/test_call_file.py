"""Call files: both forms, whose name counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dd_ray.cli.call_file import BadCallFile, Calls, parse_calls, read_calls

PARAMETERS = {"input": {"connector": "csv"}, "mllib": {"nclasses": 3}}
CREATION = {"mllib": "xgboost", "parameters": PARAMETERS, "model": {"repository": "/m"}}
TRAINING = {"data": ["/d.csv"], "parameters": {"mllib": {"iterations": 5}}}


def test_two_bodies_stay_what_they_are() -> None:
    calls = parse_calls({"service": CREATION | {"name": "wine"}, "train": TRAINING})
    assert calls == Calls(
        service="wine",
        creation=CREATION,
        training=TRAINING | {"service": "wine", "async": True},
    )


def test_one_object_is_both_calls() -> None:
    calls = parse_calls({"service": "wine", "data": ["/d.csv"], "async": False, **CREATION})
    assert calls == Calls(
        service="wine",
        creation=CREATION,
        training={
            "service": "wine",
            "async": True,
            "data": ["/d.csv"],
            "parameters": PARAMETERS,
        },
    )


def test_a_file_may_only_create_or_only_train() -> None:
    assert parse_calls({"service": "wine"} | CREATION).training is None
    assert parse_calls({"service": "wine"} | TRAINING).creation is None
    assert parse_calls({"service": CREATION | {"name": "wine"}}).training is None
    assert parse_calls({"train": TRAINING | {"service": "wine"}}).creation is None


@pytest.mark.parametrize(
    ("content", "given", "name"),
    [
        ({"service": CREATION | {"name": "a"}, "train": TRAINING}, "", "a"),
        ({"service": CREATION, "train": TRAINING | {"service": "b"}}, "", "b"),
        ({"service": CREATION | {"name": "a"}, "train": TRAINING | {"service": "a"}}, "", "a"),
        ({"service": CREATION | {"name": "a"}, "train": TRAINING | {"service": "b"}}, "c", "c"),
        ({"service": "d"} | CREATION, "", "d"),
        ({"service": "d"} | CREATION, "c", "c"),
        (CREATION, "c", "c"),
    ],
)
def test_the_name_that_is_given_counts_first(
    content: dict[str, Any], given: str, name: str
) -> None:
    calls = parse_calls(content, service=given)
    assert calls.service == name
    assert calls.training is None or calls.training["service"] == name


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([], "expected an object with the calls, got list"),
        ({}, "no name of a service"),
        ({"service": "wine"}, "no call, expected mllib"),
        ({"service": {}, "train": [1]}, "train: expected an object, got list"),
        ({"service": 3, "train": {}}, "service: expected an object, got int"),
        (CREATION, "no name of a service, expected it in service.name"),
        (
            {"service": CREATION | {"name": "a"}, "train": TRAINING | {"service": "b"}},
            "service.name is 'a' but train.service is 'b'",
        ),
    ],
)
def test_what_holds_no_calls_is_refused(content: Any, text: str) -> None:
    with pytest.raises(BadCallFile, match=text):
        parse_calls(content)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCallFile, match=r"none\.json: No such file"):
        read_calls(str(tmp_path / "none.json"))
    path = tmp_path / "bad.json"
    path.write_text('{"service": ')
    with pytest.raises(BadCallFile, match=r"bad\.json is not JSON: Expecting value"):
        read_calls(str(path))
    path.write_text("{}")
    with pytest.raises(BadCallFile, match=r"bad\.json: no name"):
        read_calls(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(BadCallFile, match=r"bad\.json is not JSON"):
        read_calls(str(path))


def test_a_repository_that_is_given_replaces_the_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_text(json.dumps({"service": "wine", **CREATION}))
    assert read_calls(str(path)).repository == "/m"
    calls = read_calls(str(path), repository="/other")
    assert calls.creation is not None
    assert calls.creation["model"] == {"repository": "/other", "create_repository": True}


def test_paths_of_a_folder_become_absolute_and_data_stays_data(tmp_path: Path) -> None:
    (tmp_path / "wine.csv").touch()
    data = ["wine.csv", "none.csv", "1,2,3", "", "http://host/wine.csv", "x" * 5000, "a\0b", 3]
    content = {"service": "w", **CREATION, "data": data, "model": {"repository": "m"}}
    calls = parse_calls(content).at(tmp_path)
    assert calls.repository == f"{tmp_path}/m"
    assert calls.training is not None
    assert calls.training["data"] == [f"{tmp_path}/wine.csv", *data[1:]]


@pytest.mark.parametrize("repository", ["/m", "s3://bucket/m"])
def test_absolute_repositories_and_urls_stay(tmp_path: Path, repository: str) -> None:
    content = {"service": "w", **CREATION, "model": {"repository": repository}}
    assert parse_calls(content).at(tmp_path).repository == repository
