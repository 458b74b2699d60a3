"""Training and loading of XGBoost models."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from dd_ray.mllibs.spec import Checkpoint, Run
from dd_ray.mllibs.threads import cpu_threads, service_threads
from dd_ray.mllibs.xgboost.external import external_matrix
from dd_ray.mllibs.xgboost.in_place import predict_rows
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.params import XGBoostParams
from dd_ray.mllibs.xgboost.rounds import Rounds, threads_for
from dd_ray.mllibs.xgboost.together import Part, agreed, check_team, collective, is_of_team
from dd_ray.repository import ModelFiles, Repository

logger = logging.getLogger(__name__)

FILES = ModelFiles(suffix=".model", digits=4)


class _XGBoost:
    """The `xgboost` mllib."""

    def train(
        self, dataset: Dataset, repository: Repository, params: XGBoostParams, run: Run
    ) -> TrainReport:
        if len(dataset.tests) > 1:
            raise BadInput("multiple test sets not supported by xgboost backend yet")
        found, team = run.interrupted, run.team
        check_team(team, params, len(dataset.train))
        # sums and draws depend on their number, also on a machine with another one
        threads = (
            found.notes["threads"] if found else threads_for(params, team.threads(cpu_threads()))
        )
        booster_params = params.for_xgboost(threads=threads) | _device(params)
        matrices = _Matrices(params, team.threads(cpu_threads()))
        if team.alone:
            matrix = matrices.plain(dataset.train)
        else:
            whole = matrices.binned(dataset.train)
            part = Part(dataset.train, team.rank, team.size)
            matrix = matrices.binned(part, reference=whole)
        tests = [matrices.plain(test.examples, reference=matrix) for test in dataset.tests]
        progress = _Progress(params, repository, run, tests[0] if tests else None, threads)
        run.begin(params.iterations, start=progress.done)
        try:
            with collective(team):
                rounds = Rounds(booster_params, matrix, model=_model_of(found))
                while progress.done < params.iterations and not progress.stopped:
                    rounds.boost(progress.done)
                    progress.after_round(rounds.booster)
        except xgb.core.XGBoostError as exc:
            if is_of_team(exc):
                raise
            raise BadParameter(_first_line(exc)) from exc
        progress.finish(rounds.booster)
        return TrainReport(measures=(progress.measure,), model=FILES.name(progress.done))

    def load(
        self, repository: Repository, params: XGBoostParams, *, inner_layers: bool = False
    ) -> _Predictor:
        path = repository.newest_model(FILES)
        if path is None:
            raise LibraryError(f"no model in {repository.path}: train the service first")
        booster = xgb.Booster({"nthread": service_threads()})
        try:
            content = path.read_bytes()
            if not content.startswith(b"{"):  # XGBoost ends the process for an empty file
                raise ValueError("neither JSON nor UBJSON")
            booster.load_model(bytearray(content))
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

    def at_once(self, params: XGBoostParams) -> int | None:
        return None

    def _raw(self, batch: Rows) -> NDArray[np.float32]:
        try:
            if self._linear:  # in-place prediction is for trees
                return np.asarray(self._booster.predict(xgb.DMatrix(batch.values_NF)))
            return predict_rows(self._booster, batch.values_NF)
        except xgb.core.XGBoostError as exc:
            raise LibraryError(_first_line(exc)) from exc

    def close(self) -> None:
        del self._booster


class _Progress:
    """Reports, tests, saves and stops after each round; begins where an earlier attempt ended."""

    def __init__(
        self,
        params: XGBoostParams,
        repository: Repository,
        run: Run,
        test: Any | None,
        threads: int,
    ) -> None:
        found = run.interrupted
        self.done = found.done if found else 0
        self.stopped = False
        self.measure: dict[str, Any] = found.notes["measure"] if found else {}
        self._saved: int = found.notes["saved"] if found else 0
        self._params = params
        self._repository = repository
        self._run = run
        self._threads = threads
        self._test = test
        self._targets_N1 = test.get_label().reshape(-1, 1).astype(np.float64) if test else None

    def after_round(self, booster: Any) -> None:
        iteration, self.done = self.done, self.done + 1
        self._run.report(iteration)
        self.stopped = agreed(self._run.team, self._run.stopped)
        last = self.stopped or self.done == self._params.iterations
        if last or (iteration > 0 and iteration % self._params.test_interval == 0):
            self.measure = self._measures(booster, iteration)
        if self._params.save_period and self.done % self._params.save_period == 0:
            self._save(booster)
        elif self._run.checkpoint_due:
            model, name = booster.save_raw("ubj"), FILES.name(self.done)
            self._run.checkpoint(
                self.done, notes=self._notes(), save=lambda folder: folder.write(name, model)
            )

    def finish(self, booster: Any) -> None:
        """Saves the last model, unless it is there."""
        if self._saved != self.done:
            self._save(booster)

    def _save(self, booster: Any) -> None:
        if not self._run.team.leads:
            return
        self._repository.save_model(self.done, FILES, booster.save_raw("ubj"))
        self._saved = self.done
        self._run.checkpoint(self.done, notes=self._notes())

    def _notes(self) -> dict[str, Any]:
        return {"threads": self._threads, "saved": self._saved, "measure": self.measure}

    def _measures(self, booster: Any, epoch: int) -> dict[str, Any]:
        if self._test is None or self._targets_N1 is None:
            return {"iteration": float(epoch)}
        values = _eval_metric(booster, self._test, epoch) if self._params.eval_metric else {}
        if not self._run.team.leads:
            return {}
        # XGBoost keeps the margins of a matrix it has seen: only the new trees are evaluated
        output = _output(np.asarray(booster.predict(self._test)), self._params.xgboost_objective)
        return self._run.test(epoch, output, self._targets_N1, values=values)


@dataclass(frozen=True, slots=True)
class _Matrices:
    """Examples as XGBoost wants them; from disk when they are not in memory."""

    params: XGBoostParams
    threads: int

    def plain(self, examples: Batches, *, reference: Any | None = None) -> Any:
        return self._made(xgb.DMatrix, examples, reference)

    def binned(self, examples: Batches, *, reference: Any | None = None) -> Any:
        """As bins: those of `reference`, else their own."""
        return self._made(partial(xgb.QuantileDMatrix, ref=reference), examples, reference)

    def _made(self, kind: Callable[..., Any], examples: Batches, reference: Any | None) -> Any:
        if len(examples) == 0:
            raise BadInput("no data could be found processing XGBoost input")
        if examples.folder is not None:
            return external_matrix(
                examples, self.params, reference, folder=examples.folder, threads=self.threads
            )
        batch = next(iter(examples))
        assert not isinstance(batch, ImageBatch)
        if batch.targets_NT is None or batch.targets_NT.shape[1] != 1:
            raise BadInput("XGBoost has one target: expected one label column")
        try:
            return kind(
                batch.values_NF,
                label=batch.targets_NT[:, 0],
                missing=np.nan,
                nthread=self.threads,
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


def _model_of(found: Checkpoint | None) -> bytes | None:
    if found is None:
        return None
    model = found.folder.read(FILES.name(found.done))
    if model is None:
        raise LibraryError(f"{FILES.name(found.done)} is gone from {found.folder.path}")
    return model


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


def _device(params: XGBoostParams) -> dict[str, str]:
    """Where to train: `gpu: true` without a GPU trains on the CPU and says so."""
    if not params.gpus:
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
