"""Carrying out one training: connector, mllib, measures, final report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Dataset, Output
from dd_ray.measures.table import evaluate
from dd_ray.registry import load
from dd_ray.repository import CONNECTOR_STATE, Repository
from dd_ray.services.definition import Effective, ServiceDefinition, data_of
from dd_ray.services.ports import Point

logger = logging.getLogger(__name__)

_TEXT_MEASURES = frozenset({"labels", "raw", "cmfull"})
"""Measures without a history: not numbers by class."""


def train(
    definition: ServiceDefinition,
    call: Mapping[str, Any],
    *,
    report: Callable[[Point], None],
    stopped: Callable[[], bool],
    fit: Callable[[Callable[[], None]], None] = lambda loop: loop(),
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Trains a service's model and returns the body of the final report.

    `report` gets each point, `stopped` says whether to end; `fit` runs the training loop, which
    is where a trainer of the cluster puts itself around it. Raises ApiError.
    """
    params = definition.effective(call.get("parameters"))
    data = data_of(call)
    repository = Repository.open(definition.repository, create=False)
    connector = load(definition.connector_spec.implementation)
    mllib = load(definition.mllib_spec.implementation)
    with repository.scratch() as scratch:
        dataset, state = connector.dataset(
            data,
            params.input,
            scratch=scratch,
            missing_ok=definition.mllib_spec.takes_missing,
            classes=params.mllib.classes,
        )
        run = TrainingRun(params, dataset, report=report, stopped=stopped, clock=clock)
        results: list[Any] = []
        _stage(repository, state, dataset)
        fit(lambda: results.append(mllib.train(dataset, repository, params.mllib, run)))
    learned = connector.learned(params.input, state)
    if params.output.target_repository:
        suffix = definition.mllib_spec.model_suffixes[0]
        repository.copy_to(params.output.target_repository, model_suffix=suffix)
    return {
        "measure": results[0].measure,
        "model": {"repository": definition.repository},
        "parameters": {"input": learned},
    }


def _stage(repository: Repository, state: Any, dataset: Dataset) -> None:
    """Lays out what the model cannot be used without, to take effect with its first save."""
    repository.drop_staged()
    repository.stage(CONNECTOR_STATE, state.model_dump_json().encode())
    repository.stage_feature_map(dataset.names)
    repository.stage_class_names(dataset.class_names)


class TrainingRun:
    """What a training sees of the world; turns its reports into points."""

    def __init__(
        self,
        params: Effective,
        dataset: Dataset,
        *,
        report: Callable[[Point], None],
        stopped: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._measures = params.output.measure
        self._class_names = dataset.class_names
        self._test_names = [test.name for test in dataset.tests]
        self._report = report
        self._stopped = stopped
        self._clock = clock
        self._began = clock()
        self._iterations = 0

    @property
    def stopped(self) -> bool:
        return self._stopped()

    def begin(self, iterations: int) -> None:
        self._iterations = iterations
        self._began = self._clock()

    def report(self, iteration: int, **values: float) -> None:
        elapsed_s = self._clock() - self._began
        each_s = elapsed_s / (iteration + 1)
        remain_s = each_s * max(self._iterations - iteration - 1, 0)
        last = values | {
            "iteration": float(iteration),
            "iter_time": each_s * 1000,
            "elapsed_time_ms": elapsed_s * 1000,
            "remain_time": remain_s,
            "remain_time_str": _duration(remain_s),
        }
        self._report({"last": last, "history": values})

    def test(
        self, iteration: int, output: Output, targets_NT: NDArray[np.float64], **values: float
    ) -> dict[str, Any]:
        measure = evaluate(self._measures, output, targets_NT, class_names=self._class_names)
        measure |= values | {"iteration": float(iteration)}
        self._report({"last": measure, "history": spread(measure)})
        return measure


def spread(measure: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a measure object; vectors by class under `<name>_<class>`.

    >>> spread({"f1": 0.5, "cmdiag": [1.0, 0.0], "labels": ["a", "b"]})
    {'f1': 0.5, 'cmdiag_a': 1.0, 'cmdiag_b': 0.0}
    """
    numbers: dict[str, float] = {}
    labels = measure.get("labels", [])
    for name, value in measure.items():
        if name in _TEXT_MEASURES:
            continue
        if isinstance(value, float):
            numbers[name] = value
        elif isinstance(value, list) and len(value) == len(labels):
            numbers |= {f"{name}_{label}": v for label, v in zip(labels, value, strict=True)}
    return numbers


def _duration(seconds: float) -> str:
    """`0d:0h:1m:5s`, as DeepDetect writes it."""
    minutes, secs = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}d:{hours}h:{minutes}m:{secs}s"
