"""Data that many tests use: small tables that can be read here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines to a file of that name and returns its path."""

    def write_lines(name: str, *lines: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write_lines


@pytest.fixture(scope="session")
def iris_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """scikit-learn's iris with an id column and a numeric label `target`."""
    from sklearn.datasets import load_iris

    data = load_iris()
    lines = ["id,sepal length,sepal width,petal length,petal width,target"]
    for i, (row, target) in enumerate(zip(data.data, data.target, strict=True)):
        lines.append(",".join([f"flower-{i}", *(f"{value:g}" for value in row), str(target)]))
    path = tmp_path_factory.mktemp("data") / "iris.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="session")
def numbers_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two random columns and a target that is their sum: a regression without noise."""
    values = np.random.default_rng(0).uniform(size=(300, 2))
    lines = ["a,b,y", *(f"{a:.6f},{b:.6f},{a + b:.6f}" for a, b in values)]
    path = tmp_path_factory.mktemp("data") / "numbers.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)
