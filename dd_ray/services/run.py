"""What a running training sees of the world, and what becomes of its reports."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Output
from dd_ray.measures.evaluate import evaluate
from dd_ray.mllibs.spec import Checkpoint
from dd_ray.mllibs.team import Team
from dd_ray.repository import METRICS, Repository
from dd_ray.services.checkpoints import Checkpoints
from dd_ray.services.ports import Point

logger = logging.getLogger(__name__)

_TEXT_MEASURES = frozenset({"labels", "raw", "cmfull"})
"""Measures without a history: not numbers by class."""

History = Mapping[str, Sequence[float]]
"""Series by measure name, without the `_hist` that the API adds."""


class TrainingRun:
    """Turns reports into points: the last values, and what joins the history.

    `measures` are those that the call asked for, `earlier` gives the history of the training that
    this one resumes. `flush` returns when what was reported is kept for good, so that no
    checkpoint is of an iteration whose reports are lost.
    """

    def __init__(
        self,
        measures: Sequence[str],
        *,
        class_names: Sequence[str],
        test_names: Sequence[str],
        earlier: Callable[[], History],
        report: Callable[[Point], None],
        flush: Callable[[], None],
        checkpoints: Checkpoints,
        stopped: Callable[[], bool],
        clock: Callable[[], float],
        team: Team | None = None,
    ) -> None:
        self.team = team or Team()
        self._measures = measures
        self._class_names = class_names
        self._test_names = test_names
        self._earlier = earlier
        self._report = report
        self._flush = flush
        self._checkpoints = checkpoints
        self._stopped = stopped
        self._clock = clock
        self._began = clock()
        self._start = 0
        self._iterations = 0
        self._reported: set[str] = set()
        """Values that come with each iteration, and not again with a test."""

    @property
    def stopped(self) -> bool:
        return self._stopped()

    @property
    def interrupted(self) -> Checkpoint | None:
        return self._checkpoints.found

    @property
    def checkpoint_due(self) -> bool:
        return self._checkpoints.due

    def checkpoint(
        self,
        done: int,
        *,
        notes: Mapping[str, Any],
        save: Callable[[Repository], object] | None = None,
    ) -> None:
        self._report({"checkpoint": done})
        self._flush()
        self._checkpoints.make(done, notes=notes, save=save)

    def begin(self, iterations: int, *, start: int = 0) -> None:
        self._iterations, self._start = iterations, start
        self._began = self._clock()
        found = self.interrupted
        self._report({"begin": None if found is None else found.done})
        if start and found is None:
            self._report({"earlier": until(self._earlier(), start)})

    def report(self, iteration: int, **values: float) -> None:
        elapsed_s = self._clock() - self._began
        each_s = elapsed_s / (iteration + 1 - self._start)
        remain_s = each_s * max(self._iterations - iteration - 1, 0)
        self._reported.update(values)
        last = values | {
            "iteration": float(iteration),
            "iter_time": each_s * 1000,
            "iteration_duration_ms": each_s * 1000,
            "elapsed_time_ms": elapsed_s * 1000,
            "remain_time": remain_s,
            "remain_time_str": _duration(remain_s),
        }
        self._report({"iteration": iteration, "last": last, "history": values})

    def test(
        self,
        iteration: int,
        output: Output,
        targets_NT: NDArray[np.float64],
        *,
        test_set: int = 0,
        values: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        measure = evaluate(self._measures, output, targets_NT, class_names=self._class_names)
        measure |= dict(values or {}) | {"iteration": float(iteration)}
        numbers = spread(measure)
        last = measure
        history = {name: value for name, value in numbers.items() if name not in self._reported}
        if len(self._test_names) > 1:
            measure |= {"test_id": test_set, "test_name": self._test_names[test_set]}
            own = {f"{name}_test{test_set}": value for name, value in history.items()}
            history = own | (history if test_set == 0 else {})
            names = {str(i): name for i, name in enumerate(self._test_names)}
            last = own | (measure if test_set == 0 else {}) | {"test_names": names}
        self._report({"iteration": iteration, "last": last, "history": history})
        return measure


def earlier_history(repository: Repository) -> History:
    """The history that the last GET /train left beside the model; empty when there is none."""
    try:
        kept = json.loads(repository.read(METRICS) or b"{}")
        series = kept.get("body", {}).get("measure_hist", {})
        return {
            name.removesuffix("_hist"): [float(value) for value in values]
            for name, values in series.items()
        }
    except (ValueError, TypeError, AttributeError) as exc:
        logger.warning("%s is not readable, its history is lost: %s", METRICS, exc)
        return {}


def until(history: History, iterations: int) -> dict[str, list[float]]:
    """What the history holds of the first iterations.

    Test measures come with the iteration of each test, the others once an iteration.

    >>> until({"loss": [3.0, 2.0, 1.0], "f1": [0.1, 0.2], "iteration": [0.0, 2.0]}, 2)
    {'loss': [3.0, 2.0], 'f1': [0.1], 'iteration': [0.0]}
    """
    tested = history.get("iteration", [])
    kept = sum(iteration < iterations for iteration in tested)
    return {
        name: list(values[: kept if len(values) == len(tested) else iterations])
        for name, values in history.items()
    }


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
