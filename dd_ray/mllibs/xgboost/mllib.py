"""Training and loading of XGBoost models."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import (
    Batch,
    Batches,
    Dataset,
    ImageBatch,
    Output,
    Rows,
    Scores,
    TrainReport,
    Values,
)
from dd_ray.errors import BadInput, BadParameter, LibraryError
from dd_ray.mllibs.spec import Run
from dd_ray.mllibs.xgboost.external import external_matrix
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.params import XGBoostParams
from dd_ray.repository import Repository

logger = logging.getLogger(__name__)

SUFFIX = ".model"


class _XGBoost:
    """The `xgboost` mllib."""

    def train(
        self, dataset: Dataset, repository: Repository, params: XGBoostParams, run: Run
    ) -> TrainReport:
        if len(dataset.tests) > 1:
            raise BadInput("multiple test sets not supported by xgboost backend yet")
        booster_params = params.for_xgboost(threads=_threads()) | _device(params)
        matrix = _matrix(dataset.train, params)
        tests = [_matrix(test.examples, params, reference=matrix) for test in dataset.tests]
        progress = _Progress(params, repository, run, tests[0] if tests else None)
        run.begin(params.iterations)
        try:
            booster = xgb.train(
                booster_params,
                matrix,
                num_boost_round=params.iterations,
                callbacks=[progress],
                verbose_eval=False,
            )
        except xgb.core.XGBoostError as exc:
            raise BadParameter(_first_line(exc)) from exc
        rounds = booster.num_boosted_rounds()
        if progress.saved != rounds:
            _save(booster, repository, rounds)
        return TrainReport(
            measure=progress.measure, iterations=rounds, stopped=rounds < params.iterations
        )

    def load(self, repository: Repository, params: XGBoostParams) -> _Predictor:
        path = repository.newest_model(SUFFIX)
        if path is None:
            raise LibraryError(f"no model in {repository.path}: train the service first")
        booster = xgb.Booster({"nthread": _threads()})
        try:
            booster.load_model(bytearray(path.read_bytes()))
        except (xgb.core.XGBoostError, OSError, ValueError) as exc:
            raise LibraryError(
                f"cannot read {path}: {_first_line(exc)}; XGBoost {xgb.__version__} reads JSON"
                " and UBJSON models: load the file with the XGBoost that wrote it and save it"
                " again with its save_model to a name that ends in .json"
            ) from exc
        return _Predictor(booster, params)


XGBoost = _XGBoost()


class _Predictor:
    """A loaded booster."""

    def __init__(self, booster: Any, params: XGBoostParams) -> None:
        learner = _learner(booster)
        self._booster = booster
        self._features = booster.num_features()
        self._objective = str(learner["objective"]["name"])
        self._linear = str(learner["gradient_booster"]["name"]) == "gblinear"
        classes = int(learner["learner_model_param"]["num_class"])
        if self._objective == "multi:softprob" and params.nclasses not in (0, classes):
            raise BadParameter(
                f"the model has {classes} classes, but parameters.mllib.nclasses is"
                f" {params.nclasses}"
            )

    def predict(self, batch: Batch, params: XGBoostParams) -> Output:
        assert not isinstance(batch, ImageBatch)  # the connectors are csv and svm
        if batch.values_NF.shape[1] != self._features:
            raise BadInput(
                f"{batch.values_NF.shape[1]} columns, but the model was trained on {self._features}"
            )
        return _output(self._raw(batch), self._objective)

    def _raw(self, batch: Rows) -> NDArray[np.float32]:
        try:
            if self._linear:  # in-place prediction is for trees
                return np.asarray(self._booster.predict(xgb.DMatrix(batch.values_NF)))
            return np.asarray(
                self._booster.inplace_predict(batch.values_NF, validate_features=False)
            )
        except xgb.core.XGBoostError as exc:
            raise LibraryError(_first_line(exc)) from exc

    def close(self) -> None:
        del self._booster


class _Progress(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    """Reports, tests, saves and stops after each iteration."""

    def __init__(
        self,
        params: XGBoostParams,
        repository: Repository,
        run: Run,
        test: Any | None,
    ) -> None:
        self.measure: dict[str, Any] = {}
        self.saved = 0
        self._params = params
        self._repository = repository
        self._run = run
        self._test = test
        self._targets_N1 = test.get_label().reshape(-1, 1).astype(np.float64) if test else None

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Returns whether training ends here."""
        done = epoch + 1
        stop = self._run.stopped
        self._run.report(epoch)
        last = stop or done == self._params.iterations
        if last or (epoch > 0 and epoch % self._params.test_interval == 0):
            self.measure = self._measures(model, epoch)
        if self._params.save_period and done % self._params.save_period == 0:
            _save(model, self._repository, done)
            self.saved = done
        return stop

    def _measures(self, booster: Any, epoch: int) -> dict[str, Any]:
        if self._test is None or self._targets_N1 is None:
            return {"iteration": float(epoch)}
        # XGBoost keeps the margins of a matrix it has seen: only the new trees are evaluated
        output = _output(np.asarray(booster.predict(self._test)), self._params.xgboost_objective)
        values = _eval_metric(booster, self._test, epoch) if self._params.eval_metric else {}
        return self._run.test(epoch, output, self._targets_N1, **values)


def _matrix(examples: Batches, params: XGBoostParams, reference: Any | None = None) -> Any:
    """The examples as XGBoost wants them; from disk when they are not in memory."""
    if len(examples) == 0:
        raise BadInput("no data could be found processing XGBoost input")
    if examples.folder is not None:
        return external_matrix(
            examples, params, reference, folder=examples.folder, threads=_threads()
        )
    batch = next(iter(examples))
    assert not isinstance(batch, ImageBatch)
    assert batch.targets_NT is not None
    if batch.targets_NT.shape[1] != 1:
        raise BadInput(
            f"{batch.targets_NT.shape[1]} label columns, expected 1: XGBoost has one target"
        )
    try:
        return xgb.DMatrix(
            batch.values_NF,
            label=batch.targets_NT[:, 0],
            missing=np.nan,
            nthread=_threads(),
        )
    except (xgb.core.XGBoostError, ValueError) as exc:
        raise BadInput(_first_line(exc)) from exc


def _output(raw: NDArray[np.float32], objective: str) -> Output:
    """Scores or values out of what XGBoost predicts for an objective."""
    if objective == "multi:softprob":
        return Scores(probs_NC=raw if raw.ndim == 2 else raw.reshape(len(raw), -1))
    if objective == "binary:logistic":
        positive_N = raw.reshape(-1)
        return Scores(probs_NC=np.stack([1 - positive_N, positive_N], axis=1))
    return Values(values_ND=raw.reshape(len(raw), -1))


def _save(booster: Any, repository: Repository, rounds: int) -> None:
    repository.save_model(rounds, SUFFIX, booster.save_raw("ubj"))


def _learner(booster: Any) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(booster.save_config())
    learner: dict[str, Any] = config["learner"]
    return learner


def _eval_metric(booster: Any, test: Any, epoch: int) -> dict[str, float]:
    """XGBoost's own metrics of the test set, parsed from its line `[3]\\ttest-mlogloss:0.1`."""
    values = {}
    for part in booster.eval_set([(test, "test")], epoch).split("\t")[1:]:
        name, _, value = part.removeprefix("test-").rpartition(":")
        values[name] = float(value)
    return values


def _threads() -> int:
    return len(os.sched_getaffinity(0))


def _device(params: XGBoostParams) -> dict[str, str]:
    """Where to train: `gpu: true` without a GPU trains on the CPU and says so."""
    if not params.gpu:
        return {"device": "cpu"}
    if params.booster == "gblinear" or not _gpu_visible():
        logger.warning("gpu requested, but there is none that XGBoost can use here: on the CPU")
        return {"device": "cpu"}
    return {"device": "cuda"}


def _gpu_visible() -> bool:
    if not xgb.build_info().get("USE_CUDA"):
        return False
    return os.environ.get("CUDA_VISIBLE_DEVICES", "") not in ("", "-1") or os.path.exists(
        "/dev/nvidia0"
    )


def _first_line(exc: Exception) -> str:
    """XGBoost's message without its time stamp, source position and stack."""
    text = str(exc).strip()
    for line in text.splitlines():
        message = line.rpartition(".cc:")[2].partition(": ")[2] if ".cc:" in line else line
        if message.strip():
            return message.strip()[:300]
    return type(exc).__name__
