"""Repositories whose model is broken: all of it is loaded, or none and the service says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import Client

ROW = "5.1,3.5,1.4,0.2"


def _model(repository: Path) -> Path:
    return next(path for path in repository.iterdir() if path.suffix in (".ubj", ".model"))


def _cut(repository: Path) -> None:
    whole = _model(repository).read_bytes()
    _model(repository).write_bytes(whole[: len(whole) // 2])


def _garble(repository: Path) -> None:
    _model(repository).write_bytes(b"not a model")


def _empty(repository: Path) -> None:
    _model(repository).write_bytes(b"")


def _unlearn(repository: Path) -> None:
    (repository / "connector.json").write_text('{"columns": 3')


def _relearn(repository: Path) -> None:
    (repository / "connector.json").write_text("[1]")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_cut, "model"),
        (_garble, "model"),
        (_empty, "model"),
        (_unlearn, "connector.json"),
        (_relearn, "connector.json"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(
    trained: Client, tmp_path: Path, spoil: Callable[[Path], Any], why: str
) -> None:
    repository = tmp_path / "flowers"
    trained.call("DELETE", "/services/flowers")
    spoil(repository)
    assert trained.create("flowers", str(repository), mllib={"nclasses": 3})[0] == 201
    code, answer = trained.predict("flowers", ROW)
    assert code in (400, 500)
    assert why in answer["status"]["dd_msg"]
    found = trained.call("GET", "/services/flowers")[1]["body"]
    assert (found["ready"], found["problem"]) == (False, answer["status"]["dd_msg"])


def test_a_training_mends_a_service(trained: Client, tmp_path: Path, iris_csv: str) -> None:
    trained.call("DELETE", "/services/flowers")
    _cut(tmp_path / "flowers")
    trained.create("flowers", str(tmp_path / "flowers"), mllib={"nclasses": 3})
    assert trained.predict("flowers", ROW)[0] >= 400
    code, _ = trained.train(
        "flowers", iris_csv, mllib={"iterations": 4}, input={"label": "target", "id": "id"}
    )
    assert code == 201
    assert trained.predict("flowers", ROW)[0] == 200
    assert trained.call("GET", "/services/flowers")[1]["body"]["ready"] is True
