"""Trainings by several workers of which one is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.api.client import Client
from tests.cluster.faults import (
    INPUT,
    OUTPUT,
    checkpointed,
    iteration,
    kill,
    predictions,
    processes,
    report,
)
from tests.cluster.load import eventually
from tests.cluster.servers import Server

pytestmark = pytest.mark.ray

TOGETHER = {"workers": 2, "resources": {"num_cpus": 0.5}}
TREES = {"iterations": 1200, "test_interval": 25, "booster_params": {"max_depth": 3}}
UPDATES = {
    "solver": {"iterations": 1500, "test_interval": 100, "base_lr": 0.01, "solver_type": "ADAM"},
    "net": {"batch_size": 8},
}


def begun(wire: Client, library: str, path: Path, data: str, **mllib: Any) -> None:
    """A service with a training by two workers under way."""
    network = {"template": "mlp", "layers": [16]} if library == "torch" else {}
    parameters = {"input": {"connector": "csv"}, "mllib": {"nclasses": 3} | network}
    model = {"repository": str(path), "create_repository": True}
    call = {"mllib": library, "description": "d", "parameters": parameters, "model": model}
    assert wire.call("PUT", f"/services/{library}", call)[0] == 201
    given = {"input": INPUT, "mllib": mllib | TOGETHER, "output": OUTPUT}
    assert wire.train(library, data, blocking=False, **given)[0] == 201


def one_is_killed(wire: Client, server: Server, library: str, path: Path) -> None:
    """One of the workers, after a checkpoint; returns when others train from there on."""
    eventually(lambda: iteration(wire, library) > 0)
    reached = eventually(lambda: checkpointed(path))
    (first, second) = workers(server)
    kill(first)
    eventually(lambda: not second.is_running())
    eventually(lambda: checkpointed(path, after=reached) or not list(path.glob(".job-*")))


def workers(server: Server) -> list[psutil.Process]:
    return eventually(lambda: len(found := processes(server, "RayTrainWorker")) == 2 and found)


@pytest.fixture(scope="module")
def unbroken(
    server_and_url: tuple[Server, str], iris_csv: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """The history of trees that were not interrupted, and what they predict."""
    path = tmp_path_factory.mktemp("unbroken")
    with httpx.Client(base_url=server_and_url[1], timeout=120) as http:
        wire = Client(http)
        begun(wire, "xgboost", path, iris_csv, **TREES)
        history = report(wire, "xgboost")["body"]["measure_hist"]
        predicted = predictions(wire, "xgboost", iris_csv)
        assert wire.call("DELETE", "/services/xgboost")[0] == 200
    return history, predicted


def test_trees_are_those_of_an_unbroken_training(
    wire: Client,
    server_and_url: tuple[Server, str],
    iris_csv: str,
    tmp_path: Path,
    unbroken: tuple[Any, Any],
) -> None:
    begun(wire, "xgboost", tmp_path, iris_csv, **TREES)
    one_is_killed(wire, server_and_url[0], "xgboost", tmp_path)
    answer = report(wire, "xgboost")
    assert answer["head"]["status"] == "finished", answer
    history, predicted = unbroken
    found = answer["body"]["measure_hist"]
    assert found.keys() == history.keys()
    for name, values in history.items():
        assert found[name] == pytest.approx(values, rel=1e-4), name
    again = predictions(wire, "xgboost", iris_csv)
    assert again.keys() == predicted.keys()
    for name, probability in predicted.items():
        assert again[name] == pytest.approx(probability, rel=1e-4, abs=1e-6), name


def test_a_network_has_a_history_without_hole_or_repetition(
    wire: Client, server_and_url: tuple[Server, str], iris_csv: str, tmp_path: Path
) -> None:
    begun(wire, "torch", tmp_path, iris_csv, **UPDATES)
    one_is_killed(wire, server_and_url[0], "torch", tmp_path)
    answer = report(wire, "torch")
    assert answer["head"]["status"] == "finished", answer
    history = answer["body"]["measure_hist"]
    assert len(history["train_loss_hist"]) == 1500
    tested = history["iteration_hist"]
    assert tested == sorted(set(tested))
    assert len(tested) == 15
    assert answer["body"]["measure"]["acc"] > 0.9
    assert len(predictions(wire, "torch", iris_csv)) == 450
