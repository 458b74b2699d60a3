"""Commands run in this process, against a server that trains and predicts in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dd_ray.api.app import build
from dd_ray.cli.app import app
from dd_ray.services.local import local_server
from tests.cli.serving import serving

Run = Callable[..., Result]
WriteCalls = Callable[..., str]

CREATION = {
    "mllib": "xgboost",
    "description": "iris",
    "parameters": {
        "input": {"connector": "csv", "label": "target", "id": "id"},
        "mllib": {"nclasses": 3},
    },
}
TRAINING: dict[str, Any] = {
    "parameters": {
        "input": {"shuffle": True, "seed": 1, "test_split": 0.2},
        "mllib": {"iterations": 5},
        "output": {"measure": ["acc"]},
    }
}


@pytest.fixture
def url() -> Iterator[str]:
    with serving(build(local_server())) as address:
        yield address


@pytest.fixture
def run(url: str) -> Run:
    """Runs `dd-ray` with the server's address in the environment, and checks its exit code."""

    def run_command(*arguments: str, exits: int = 0, **env: str) -> Result:
        given = {"DD_RAY_ADDRESS": url, "DD_RAY_API_KEY": "", "COLUMNS": "200"} | env
        result = CliRunner().invoke(app, arguments, env=given)
        assert result.exit_code == exits, result.output
        return result

    return run_command


@pytest.fixture
def write_calls(tmp_path: Path, iris_csv: str) -> WriteCalls:
    """Writes the calls of a training on iris, changed as said, and returns the file's path."""

    def write(service: str = "iris", *, nclasses: int = 3, **mllib: Any) -> str:
        repository = {"repository": str(tmp_path / "model"), "create_repository": True}
        creation = CREATION | {"name": service, "model": repository}
        creation["parameters"] = creation["parameters"] | {"mllib": {"nclasses": nclasses}}
        training = TRAINING | {"data": [iris_csv]}
        training["parameters"] = training["parameters"] | {"mllib": {"iterations": 5} | mllib}
        path = tmp_path / "call.json"
        path.write_text(json.dumps({"service": creation, "train": training}))
        return str(path)

    return write


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is not the server's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder
