"""The xgboost mllib on arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dd_ray.data import Batch, Dataset, InMemory, Scores, SparseBatch, TableBatch, TestSet, Values
from dd_ray.errors import ApiError, BadInput, BadParameter, LibraryError
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.mllib import XGBoost
from dd_ray.mllibs.xgboost.params import OBJECTIVES, XGBoostParams
from dd_ray.repository import Repository
from tests.mllibs.fake_run import FakeRun

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(300, 5)).astype(np.float32)
CLASSES = (VALUES[:, 0] > 0).astype(float) + (VALUES[:, 1] > 0)


def table(targets: np.ndarray = CLASSES, values: np.ndarray = VALUES) -> TableBatch:
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    uris = [str(i) for i in range(len(values))]
    return TableBatch(values_NF=values, names=names, uris=uris, targets_NT=targets[:, None])


def dataset(batch: Batch | None = None, *, tests: int = 1) -> Dataset:
    examples = InMemory(batch or table())
    sets = tuple(TestSet(name=str(i), examples=examples) for i in range(tests))
    return Dataset(train=examples, tests=sets)


def params(**given: Any) -> XGBoostParams:
    return XGBoostParams.merge({"nclasses": 3} | given)


def trained(tmp_path: Path, data: Dataset | None = None, **given: Any) -> tuple[Any, FakeRun]:
    run = FakeRun()
    repository = Repository(tmp_path)
    XGBoost.train(data or dataset(), repository, params(**given), run)
    return XGBoost.load(repository, params(**given)), run


def test_the_model_is_that_of_plain_xgboost(tmp_path: Path) -> None:
    predictor, _ = trained(tmp_path, iterations=7, seed=5)
    given = params(seed=5).for_xgboost(threads=2)
    matrix = xgb.DMatrix(VALUES, label=CLASSES)
    plain = xgb.train(given, matrix, num_boost_round=7)
    output = predictor.predict(table(), params())
    assert isinstance(output, Scores)
    assert np.array_equal(output.probs_NC, plain.predict(matrix))


def test_tests_come_at_their_interval_and_at_the_end(tmp_path: Path) -> None:
    _, run = trained(tmp_path, iterations=8, test_interval=3)
    assert run.iterations == list(range(8))
    assert run.tests == [3, 6, 7]
    assert run.total == 8


def test_test_outputs_are_those_of_the_model_so_far(tmp_path: Path) -> None:
    predictor, run = trained(tmp_path, iterations=4)
    final = predictor.predict(table(), params())
    assert np.array_equal(run.outputs[-1].probs_NC, final.probs_NC)
    assert not np.array_equal(run.outputs[0].probs_NC, final.probs_NC)


def test_the_metric_of_xgboost_is_reported_when_asked(tmp_path: Path) -> None:
    _, run = trained(tmp_path, iterations=3, eval_metric="mlogloss")
    assert [list(values) for values in run.values] == [["mlogloss"]] * 2
    assert run.values[1]["mlogloss"] < run.values[0]["mlogloss"]


def test_it_saves_every_period_and_at_the_end(tmp_path: Path) -> None:
    trained(tmp_path, iterations=7, save_period=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0003.model", "0006.model", "0007.model"]


def test_a_stop_saves_what_there_is(tmp_path: Path) -> None:
    run = FakeRun(stop_after=4)
    report = XGBoost.train(dataset(), Repository(tmp_path), params(iterations=100), run)
    assert report.model == "0004.model"
    assert [p.name for p in tmp_path.iterdir()] == ["0004.model"]
    assert report.measures[0]["iteration"] == 3.0


@pytest.mark.parametrize("booster", ["gbtree", "gblinear", "dart"])
def test_every_booster_trains_and_predicts(tmp_path: Path, booster: str) -> None:
    predictor, _ = trained(tmp_path, iterations=5, booster=booster)
    output = predictor.predict(table(), params())
    assert isinstance(output, Scores)
    assert np.mean(output.probs_NC.argmax(axis=1) == CLASSES) > 0.5


def test_binary_scores_belong_to_class_0_and_1(tmp_path: Path) -> None:
    data = dataset(table((VALUES[:, 0] > 0).astype(float)))
    given = {"nclasses": 2, "objective": "binary:logistic", "iterations": 5}
    predictor, _ = trained(tmp_path, data, **given)
    output = predictor.predict(table(), params(**given))
    assert isinstance(output, Scores)
    assert output.probs_NC.sum(axis=1) == pytest.approx(np.ones(300))
    assert np.array_equal(output.probs_NC[:, 1] > 0.5, VALUES[:, 0] > 0)


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name[0] in "rc"])
def test_every_regression_objective_gives_values(tmp_path: Path, objective: str) -> None:
    data = dataset(table(1 / (1 + np.exp(-VALUES[:, 0])) + 0.0))
    given = {"nclasses": 0, "ntargets": 1, "regression": True, "objective": objective}
    predictor, _ = trained(tmp_path, data, iterations=30, **given)
    output = predictor.predict(table(), params(**given))
    assert isinstance(output, Values)
    assert output.values_ND.shape == (300, 1)
    correlation = np.corrcoef(output.values_ND[:, 0], VALUES[:, 0])[0, 1]
    assert correlation > 0.8


def test_missing_values_are_learned_from(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[::3, 0] = np.nan
    predictor, _ = trained(tmp_path, dataset(table(values=values)), iterations=3)
    output = predictor.predict(table(values=values), params())
    assert np.isfinite(output.probs_NC).all()


def test_sparse_rows_train_and_predict(tmp_path: Path) -> None:
    sparse = SparseBatch(
        values_NF=csr_matrix(np.maximum(VALUES, 0)),
        names=("a",) * 5,
        uris=["0"] * 300,
        targets_NT=CLASSES[:, None],
    )
    predictor, _ = trained(tmp_path, dataset(sparse), iterations=10)
    output = predictor.predict(sparse, params())
    assert np.mean(output.probs_NC.argmax(axis=1) == CLASSES) > 0.9


class Pieces:
    """Examples that are not in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return 300

    def __iter__(self) -> Any:
        for part in range(0, 300, 70):
            yield table(CLASSES[part : part + 70], VALUES[part : part + 70])


def test_examples_from_disk_train_alike(tmp_path: Path) -> None:
    data = Dataset(train=Pieces(tmp_path), tests=(TestSet(name="t", examples=Pieces(tmp_path)),))
    predictor, run = trained(tmp_path, data, iterations=10)
    output = predictor.predict(table(), params())
    assert np.mean(output.probs_NC.argmax(axis=1) == CLASSES) > 0.95
    assert run.outputs[-1].probs_NC == pytest.approx(output.probs_NC, abs=1e-5)


@pytest.mark.parametrize(
    "given", [{"booster": "gblinear"}, {"booster_params": {"tree_method": "exact"}}]
)
def test_examples_from_disk_need_bins(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match="db: true"):
        trained(tmp_path, Dataset(train=Pieces(tmp_path)), **given)


def test_booster_parameters_go_by_the_names_of_xgboost() -> None:
    given = {"eta": 1, "colsample": 0.5, "lambda": 2, "gamma": 0.1, "lambda_bias": 1}
    found = params(booster_params=given).for_xgboost(threads=3)
    assert found["colsample_bytree"] == 0.5
    assert found["lambda"] == 2
    assert found["eta"] == 1
    assert found["num_class"] == 3
    assert found["nthread"] == 3
    assert "colsample" not in found
    assert "lambda_bias" not in found
    assert "max_depth" not in params(booster="gblinear").for_xgboost(threads=1)


@pytest.mark.parametrize(
    ("data", "given", "error"),
    [
        (dataset(tests=2), {}, BadInput),
        (dataset(table(CLASSES + 1)), {}, BadParameter),
        (dataset(), {"eval_metric": "nonsense"}, BadParameter),
        (dataset(), {"booster_params": {"max_depth": 0, "tree_method": "exact"}}, BadParameter),
    ],
)
def test_what_xgboost_refuses_is_an_error_of_the_api(
    tmp_path: Path, data: Dataset, given: dict[str, Any], error: type[ApiError]
) -> None:
    with pytest.raises(error) as caught:
        trained(tmp_path, data, iterations=2, **given)
    assert "\n" not in caught.value.message
    assert ".cc" not in caught.value.message


def test_no_model_and_a_broken_model(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="train the service first"):
        XGBoost.load(Repository(tmp_path), params())
    (tmp_path / "0001.model").write_bytes(b"binf\0\0\0 an old binary model")
    with pytest.raises(LibraryError, match=r"cannot read .*0001\.model"):
        XGBoost.load(Repository(tmp_path), params())


def test_a_model_of_plain_xgboost_is_loaded(tmp_path: Path) -> None:
    matrix = xgb.DMatrix(VALUES, label=CLASSES)
    plain = xgb.train({"objective": "multi:softprob", "num_class": 3}, matrix, num_boost_round=3)
    for name in ("model.json", "model.ubj"):
        plain.save_model(str(tmp_path / name))
        (tmp_path / "0003.model").write_bytes((tmp_path / name).read_bytes())
        predictor = XGBoost.load(Repository(tmp_path), params())
        assert np.array_equal(predictor.predict(table(), params()).probs_NC, plain.predict(matrix))


def test_classes_and_columns_that_do_not_fit_are_named(tmp_path: Path) -> None:
    predictor, _ = trained(tmp_path, iterations=1)
    with pytest.raises(BadInput, match="2 columns, but the model was trained on 5"):
        predictor.predict(table(values=VALUES[:, :2]), params())
    with pytest.raises(BadParameter, match=r"the model has 3 classes, but .* is 4"):
        XGBoost.load(Repository(tmp_path), params(nclasses=4))


def test_gpu_without_a_gpu_trains_on_the_cpu(tmp_path: Path) -> None:
    _, run = trained(tmp_path, iterations=2, gpu=True, gpuid=[0, 1])
    assert run.iterations == [0, 1]


def test_the_model_file_is_plain_ubjson(tmp_path: Path) -> None:
    trained(tmp_path, iterations=2)
    booster = xgb.Booster()
    booster.load_model(bytearray((tmp_path / "0002.model").read_bytes()))
    assert json.loads(booster.save_config())["learner"]["objective"]["name"] == "multi:softprob"
