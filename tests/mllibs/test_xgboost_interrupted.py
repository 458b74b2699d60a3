"""Trainings of the xgboost mllib that die and go on: the model is the one of an unbroken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dd_ray.attempts import Attempt, open_job
from dd_ray.data import Dataset, InMemory, SparseBatch, TestSet
from dd_ray.errors import LibraryError
from dd_ray.mllibs.xgboost import mllib
from dd_ray.mllibs.xgboost.mllib import XGBoost
from tests.mllibs.fake_run import Died, FakeRun
from tests.mllibs.test_xgboost import CLASSES, VALUES, Pieces, dataset, params

SAMPLES = {"subsample": 0.6, "colsample": 0.5}
DROPS = {"rate_drop": 0.4, "skip_drop": 0.2}
ITERATIONS = 12


def attempt(path: Path, number: int) -> Attempt:
    path.mkdir(exist_ok=True)
    open_job(str(path), "k")
    return Attempt(str(path), "k", number)


def train(attempt: Attempt, given: dict[str, Any], data: Dataset, **run: Any) -> FakeRun:
    fake = FakeRun("mcll", "acc", attempt=attempt, **run)
    XGBoost.train(data, attempt.repository, params(**given), fake)
    return fake


def models(path: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in path.glob("*.model")}


def unbroken(path: Path, given: dict[str, Any], data: Dataset) -> FakeRun:
    return train(attempt(path, 1), given, data)


def broken(
    path: Path, given: dict[str, Any], data: Dataset, *deaths: int, every: int = 3
) -> FakeRun:
    """The last of several attempts, of which each but it dies after some iterations."""
    for number, after in enumerate(deaths, start=1):
        with pytest.raises(Died):
            train(attempt(path, number), given, data, die_after=after, every=every)
    return train(attempt(path, len(deaths) + 1), given, data, every=every)


@pytest.mark.parametrize(
    ("booster", "method", "sampling"),
    [
        *(("gbtree", method, SAMPLES) for method in ("auto", "hist", "approx", "exact")),
        *(
            ("gbtree", "auto", sampling)
            for sampling in ({}, {"subsample": 0.5}, {"colsample": 0.5})
        ),
        *(("dart", method, SAMPLES) for method in ("auto", "exact")),
        ("dart", "auto", {}),
    ],
)
def test_trees(tmp_path: Path, booster: str, method: str, sampling: dict[str, float]) -> None:
    given = {
        "iterations": ITERATIONS,
        "booster": booster,
        "seed": 7,
        "booster_params": {"tree_method": method} | sampling | (DROPS if booster == "dart" else {}),
    }
    whole = unbroken(tmp_path / "a", given, dataset())
    parts = broken(tmp_path / "b", given, dataset(), 8)
    assert models(tmp_path / "a") == models(tmp_path / "b")
    assert (parts.start, parts.iterations) == (6, list(range(6, ITERATIONS)))
    assert parts.tests == whole.tests[-len(parts.tests) :]
    for mine, other in zip(parts.outputs[::-1], whole.outputs[::-1], strict=False):
        assert np.array_equal(mine.probs_NC, other.probs_NC)


def test_linear_models(tmp_path: Path) -> None:
    given = {"iterations": ITERATIONS, "booster": "gblinear"}
    unbroken(tmp_path / "a", given, dataset())
    broken(tmp_path / "b", given, dataset(), 5, 4)
    assert models(tmp_path / "a") == models(tmp_path / "b")


def test_every_round_may_be_the_last(tmp_path: Path) -> None:
    given = {"iterations": ITERATIONS, "booster_params": SAMPLES}
    unbroken(tmp_path / "a", given, dataset())
    parts = broken(tmp_path / "b", given, dataset(), *[1] * (ITERATIONS - 1), every=1)
    assert models(tmp_path / "a") == models(tmp_path / "b")
    assert parts.iterations == [ITERATIONS - 1]


@pytest.mark.parametrize("objective", ["binary:logistic", "reg:squarederror", "count:poisson"])
def test_objectives(tmp_path: Path, objective: str) -> None:
    regression = objective != "binary:logistic"
    given = {
        "iterations": ITERATIONS,
        "objective": objective,
        "nclasses": 0 if regression else 2,
        "regression": regression,
        "ntargets": int(regression),
        "booster_params": SAMPLES,
        "base_score": 0.3,
    }
    data = dataset(data_of(np.minimum(CLASSES, 1)))
    unbroken(tmp_path / "a", given, data)
    broken(tmp_path / "b", given, data, 7)
    assert models(tmp_path / "a") == models(tmp_path / "b")


def data_of(targets: np.ndarray) -> Any:
    from tests.mllibs.test_xgboost import table

    return table(targets)


def test_sparse_rows(tmp_path: Path) -> None:
    sparse = SparseBatch(
        values_NF=csr_matrix(np.maximum(VALUES, 0)),
        names=("a",) * 5,
        uris=["0"] * 300,
        targets_NT=CLASSES[:, None],
    )
    given = {"iterations": ITERATIONS, "booster_params": SAMPLES}
    unbroken(tmp_path / "a", given, dataset(sparse))
    broken(tmp_path / "b", given, dataset(sparse), 7)
    assert models(tmp_path / "a") == models(tmp_path / "b")


def test_examples_from_disk(tmp_path: Path) -> None:
    given = {"iterations": ITERATIONS, "booster_params": SAMPLES}
    for name in ("pages-a", "pages-b"):
        (tmp_path / name).mkdir()
    first, second = (
        Dataset(
            train=Pieces(tmp_path / name),
            tests=(TestSet(name="t", examples=InMemory(data_of(CLASSES))),),
        )
        for name in ("pages-a", "pages-b")
    )
    unbroken(tmp_path / "a", given, first)
    broken(tmp_path / "b", given, second, 7)
    assert models(tmp_path / "a") == models(tmp_path / "b")


def test_saved_models_are_checkpoints_too(tmp_path: Path) -> None:
    """And what a dead attempt saved after its last checkpoint is saved again."""
    given = {"iterations": ITERATIONS, "save_period": 5, "booster_params": SAMPLES}
    unbroken(tmp_path / "a", given, dataset())
    parts = broken(tmp_path / "b", given, dataset(), 6, every=100)
    assert parts.start == 5
    assert list(models(tmp_path / "b")) == list(models(tmp_path / "a"))
    assert models(tmp_path / "a") == models(tmp_path / "b")


def test_the_measure_of_a_finished_training_is_not_lost(tmp_path: Path) -> None:
    """It died after its last round was saved: nothing is left to do, and nothing is done."""
    given = {"iterations": 4, "test_interval": 2}
    first = attempt(tmp_path, 1)
    done = XGBoost.train(
        dataset(), first.repository, params(**given), FakeRun("acc", attempt=first)
    )
    second = attempt(tmp_path, 2)
    run = FakeRun("acc", attempt=second)
    again = XGBoost.train(dataset(), second.repository, params(**given), run)
    assert again == done
    assert (run.iterations, run.tests, run.checkpoints) == ([], [], [])


def test_the_number_of_threads_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling depends on it: a machine with more of them goes on with as many as there were."""
    given = {"iterations": ITERATIONS, "booster_params": SAMPLES}
    monkeypatch.setattr(mllib, "cpu_threads", lambda: 2)
    unbroken(tmp_path / "a", given, dataset())
    with pytest.raises(Died):
        train(attempt(tmp_path / "b", 1), given, dataset(), die_after=5, every=3)
    monkeypatch.setattr(mllib, "cpu_threads", lambda: 1)
    train(attempt(tmp_path / "b", 2), given, dataset())
    assert models(tmp_path / "a") == models(tmp_path / "b")


def test_a_checkpoint_without_its_model_is_named(tmp_path: Path) -> None:
    given = {"iterations": ITERATIONS, "save_period": 5}
    with pytest.raises(Died):
        train(attempt(tmp_path, 1), given, dataset(), die_after=6, every=100)
    (tmp_path / "0005.model").unlink()
    with pytest.raises(LibraryError, match=r"0005\.model is gone from"):
        train(attempt(tmp_path, 2), given, dataset())
