"""No pickle from users anywhere: the doors that could be one, and that there are no others."""

from __future__ import annotations

import ast
import gc
import io
import os
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dd_ray
from dd_ray.errors import LibraryError
from dd_ray.mllibs.table import MLLIBS
from dd_ray.registry import load
from dd_ray.repository import Repository
from dd_ray.services.definition import define
from dd_ray.services.pipeline import Pipeline

PACKAGE = Path(dd_ray.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

_UNPICKLERS = frozenset(
    {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve"}
)

_ONLY_FOR_ERRORS = {("dd_ray/mllibs/torch/files.py", "UnpicklingError")}
"""All that is used of those modules."""


class Evil:
    """What pickle runs when it reads this."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, Any]]:
    """The syntax nodes of a kind in all of our files, with the file's name."""
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, kind):
                yield str(path.relative_to(PACKAGE.parent)), node


@cache
def parsed(path: Path) -> ast.Module:
    gc.disable()  # Python 3.11 fails when something is collected meanwhile (its issue 106905)
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def test_no_file_unpickles() -> None:
    uses = {
        (file, node.attr)
        for file, node in nodes(ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id in _UNPICKLERS
    }
    assert uses == _ONLY_FOR_ERRORS
    modules = [str(node.module).split(".")[0] for _, node in nodes(ast.ImportFrom)]
    assert not _UNPICKLERS & set(modules)
    imported = [alias for _, node in nodes(ast.Import) for alias in node.names]
    renamed = [alias.name.split(".")[0] for alias in imported if alias.asname]
    assert not _UNPICKLERS & set(renamed)


def test_no_file_runs_text_or_loads_objects() -> None:
    for file, node in nodes(ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        assert name not in ("eval", "exec", "compile", "__import__"), file
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if attribute == "load" and isinstance(node.func, ast.Attribute):
            of = ast.unparse(node.func.value)
            assert of != "yaml", file
            if of == "torch":
                weights_only = keywords["weights_only"]
                assert isinstance(weights_only, ast.Constant), file
                assert weights_only.value is True, file
        assert "allow_pickle" not in keywords, file


def test_numpy_reads_no_pickles_unless_asked(tmp_path: Path) -> None:
    """Nothing here reads NumPy's files; if something does, this is what it relies on."""
    file = io.BytesIO()
    np.save(file, np.array([Evil(tmp_path / "ran")], dtype=object), allow_pickle=True)
    file.seek(0)
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["pickle", "old", "nothing"])
def test_xgboost_reads_json_and_ubjson_only(content: str, tmp_path: Path) -> None:
    """Not the binary format from before 1.0, nor the state that it pickles itself with."""
    pytest.importorskip("xgboost")
    mark = tmp_path / "ran"
    made = {
        "pickle": pickle.dumps(Evil(mark)),
        "old": b"binf" + bytes(300),
        "nothing": b"",
    }
    (tmp_path / "0001.model").write_bytes(made[content])
    spec = MLLIBS.find("xgboost")
    params = spec.params.merge({"nclasses": 2})
    with pytest.raises(LibraryError, match="cannot read"):
        load(spec.implementation).load(Repository(tmp_path), params)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["connector.json", "corresp.txt", "metrics.json", "config.json"])
def test_what_lies_beside_a_model_is_text(name: str, tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    (tmp_path / name).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}},
        "model": {"repository": str(tmp_path)},
    }
    definition, _ = define("s", call)
    try:
        Pipeline(definition)
    except ValueError:
        assert name == "connector.json"
    assert not (tmp_path / "ran").exists()
