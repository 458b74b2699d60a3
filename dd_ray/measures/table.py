"""The table of measures, and computing those that a call asks for."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats, Ints, Output, Scores
from dd_ray.errors import BadParameter, LibraryError
from dd_ray.measures import classification, distribution, regression
from dd_ray.registry import Registry

logger = logging.getLogger(__name__)

Argument = float | None
"""What follows the name in a request such as `acc-5` or `eucll-0.1`."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scores [N, C] with the true classes [N], and what several measures share."""

    scores_NC: Floats
    targets_N: Ints
    counts_CC: Ints
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paired:
    """Values [N, D] with targets [N, D]."""

    values_ND: Floats
    targets_ND: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of the table: a name and what computes it for each kind of output."""

    name: str
    description: str
    of_scores: Callable[[Labelled, Argument], dict[str, Any]] | None = None
    of_values: Callable[[Paired, Argument], dict[str, Any]] | None = None
    takes: str | None = None
    """`count` or `threshold` when the name may be followed by one: `acc-5`, `kl-0.1`."""
    requires: tuple[str, ...] = ()
    """Measures of which one must be requested too."""


def _acc(data: Labelled, k: Argument) -> dict[str, Any]:
    name = "acc" if k is None else f"acc-{int(k)}"
    return {name: classification.acc(data.scores_NC, data.targets_N, 1 if k is None else int(k))}


def _f1full(data: Labelled, _: Argument) -> dict[str, Any]:
    full = classification.f1full(data.counts_CC)
    return classification.f1(data.counts_CC) | full | {"labels": list(data.labels)}


def _eucll(data: Paired, threshold: Argument) -> dict[str, Any]:
    result: dict[str, Any] = dict(regression.eucll(data.values_ND, data.targets_ND))
    if threshold is not None:
        near = regression.eucll(data.values_ND, data.targets_ND, threshold)
        for name, value in near.items():
            output = name.removeprefix("eucll")
            result[f"eucll_no{output}_{threshold:g}"] = value
    return result


def _gini(scores_N: Floats, targets_N: Floats) -> dict[str, Any]:
    return {"gini": regression.gini(scores_N, targets_N)}


def _cells(
    key: str, function: Callable[[Floats, Floats, NDArray[np.bool_]], Any]
) -> Callable[[Paired, Argument], dict[str, Any]]:
    """A measure over cells; with a threshold also over the cells whose target is above it."""

    def measure(data: Paired, threshold: Argument) -> dict[str, Any]:
        everywhere_ND = np.ones(data.targets_ND.shape, dtype=bool)
        result = {key: function(data.values_ND, data.targets_ND, everywhere_ND)}
        if threshold is not None:
            above_ND = data.targets_ND > threshold
            value = function(data.values_ND, data.targets_ND, above_ND) if above_ND.any() else None
            result[f"{key}_no_{threshold:g}"] = value
        return result

    return measure


def _deltas(data: Paired, threshold: Argument) -> dict[str, Any]:
    found = _cells("delta_score", distribution.deltas)(data, threshold)
    result: dict[str, Any] = {}
    for key, by_delta in found.items():
        ending = key.removeprefix("delta_score")
        for delta, share in (by_delta or {}).items():
            result[f"delta_score_{delta:g}{ending}"] = share
    return result


MEASURES = Registry(
    [
        Measure(
            name="acc",
            description="accuracy; acc-k for the k best",
            of_scores=_acc,
            takes="count",
        ),
        Measure(
            name="f1",
            description="macro f1, precision, recall, and accuracy accp",
            of_scores=lambda data, _: dict(classification.f1(data.counts_CC)),
        ),
        Measure(name="f1full", description="f1 and its parts of each class too", of_scores=_f1full),
        Measure(
            name="mcll",
            description="multi-class log loss",
            of_scores=lambda data, _: {"mcll": classification.mcll(data.scores_NC, data.targets_N)},
        ),
        Measure(
            name="auc",
            description="area under the ROC curve, two classes",
            of_scores=lambda data, _: {"auc": classification.auc(data.scores_NC, data.targets_N)},
        ),
        Measure(
            name="cmdiag",
            description="diagonal of the confusion matrix; requires f1",
            of_scores=lambda data, _: {
                "cmdiag": classification.cmdiag(data.counts_CC),
                "labels": list(data.labels),
            },
            requires=("f1", "f1full"),
        ),
        Measure(
            name="cmfull",
            description="full confusion matrix; requires f1",
            of_scores=lambda data, _: {
                "cmfull": classification.cmfull(data.counts_CC, data.labels),
                "labels": list(data.labels),
            },
            requires=("f1", "f1full"),
        ),
        Measure(
            name="mcc",
            description="Matthews correlation coefficient",
            of_scores=lambda data, _: {"mcc": classification.mcc(data.counts_CC)},
        ),
        Measure(
            name="raw",
            description="true and predicted class and its probability, per example",
            of_scores=lambda data, _: {
                "raw": classification.raw(data.scores_NC, data.targets_N, data.labels)
            },
        ),
        Measure(
            name="gini",
            description="normalised Gini coefficient",
            of_scores=lambda data, _: _gini(
                data.scores_NC.argmax(axis=1).astype(np.float64),
                data.targets_N.astype(np.float64),
            ),
            of_values=lambda data, _: _gini(data.values_ND[:, 0], data.targets_ND[:, 0]),
        ),
        Measure(
            name="eucll",
            description="mean euclidean distance; eucll-t without differences below t",
            of_values=_eucll,
            takes="threshold",
        ),
        Measure(
            name="l1",
            description="mean absolute difference",
            of_values=lambda data, _: dict(regression.l1(data.values_ND, data.targets_ND)),
        ),
        Measure(
            name="percent",
            description="mean absolute percentage error",
            of_values=lambda data, _: dict(regression.percent(data.values_ND, data.targets_ND)),
        ),
        Measure(
            name="kl",
            description="Kullback-Leibler divergence",
            of_values=_cells("kl_divergence", distribution.kl),
            takes="threshold",
        ),
        Measure(
            name="js",
            description="Jensen-Shannon divergence",
            of_values=_cells("js_divergence", distribution.js),
            takes="threshold",
        ),
        Measure(
            name="was",
            description="Wasserstein distance as DeepDetect defines it",
            of_values=_cells("wasserstein", distribution.was),
            takes="threshold",
        ),
        Measure(
            name="ks",
            description="Kolmogorov-Smirnov: the largest difference",
            of_values=_cells("kolmogorov_smirnov", distribution.ks),
            takes="threshold",
        ),
        Measure(
            name="dc",
            description="distance correlation",
            of_values=_cells("distance_correlation", distribution.dc),
            takes="threshold",
        ),
        Measure(
            name="r2",
            description="coefficient of determination",
            of_values=_cells("r2", distribution.r2),
            takes="threshold",
        ),
        Measure(
            name="deltas",
            description="share of differences below 0.05, 0.1, 0.2 and 0.5",
            of_values=_deltas,
            takes="threshold",
        ),
    ],
    missing=BadParameter,
)

_COUNT = re.compile(r"[1-9]\d{0,8}")
_THRESHOLD = re.compile(r"\d+(\.\d+)?")


def evaluate(
    requested: Sequence[str],
    output: Output,
    targets_NT: NDArray[np.float64],
    *,
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """The measures that were asked for and that apply to this kind of output, by their keys.

    `targets_NT` is [N, 1] with class indices for scores, [N, D] for values. Names that are unknown
    or do not apply are ignored and logged, as DeepDetect does. Numbers are floats; what is not
    defined for this data is None. Raises LibraryError for targets that cannot be.
    """
    if len(output) == 0:
        raise LibraryError("no examples to measure on")
    if isinstance(output, Scores):
        labelled = _labelled(output.probs_NC, targets_NT, class_names)
    else:
        paired = _paired(output.values_ND, targets_NT)
    names = {name for name, _ in map(_split, requested)}
    result: dict[str, Any] = {}
    for entry in requested:
        name, argument = _split(entry)
        measure = MEASURES.find(name) if name in MEASURES else None
        if measure is None or (measure.requires and not names & set(measure.requires)):
            _log_ignored(str(entry)[:32])
        elif isinstance(output, Scores) and measure.of_scores:
            result |= measure.of_scores(labelled, argument)
        elif not isinstance(output, Scores) and measure.of_values:
            result |= measure.of_values(paired, argument)
        else:
            _log_ignored(entry)
    return {key: _finite(value) for key, value in result.items()}


def _split(entry: str) -> tuple[str, Argument]:
    """`acc-5` is acc with 5; a name with an ending that it does not take is unknown."""
    name, dash, ending = entry.partition("-")
    if not dash:
        return entry, None
    measure = MEASURES.find(name) if name in MEASURES else None
    pattern = (
        {"count": _COUNT, "threshold": _THRESHOLD}.get(measure.takes or "") if measure else None
    )
    if pattern is None or not pattern.fullmatch(ending):
        return entry, None
    return name, float(ending)


def _labelled(
    scores_NC: Floats, targets_NT: NDArray[np.float64], class_names: Sequence[str]
) -> Labelled:
    classes = scores_NC.shape[1]
    targets_N = targets_NT[:, 0].astype(np.int64)
    if targets_N.min() < 0:
        raise LibraryError(
            "negative supervised discrete target (e.g. wrong use of label_offset ?):"
            f" {targets_N.min()}"
        )
    if targets_N.max() >= classes:
        raise LibraryError(
            f"target class has id {targets_N.max()}, which is not below the number of classes"
            f" {classes} (e.g. wrong number of classes specified with nclasses)"
        )
    labels = tuple(class_names[i] if i < len(class_names) else str(i) for i in range(classes))
    return Labelled(scores_NC, targets_N, classification.confusion(scores_NC, targets_N), labels)


def _paired(values_ND: Floats, targets_NT: NDArray[np.float64]) -> Paired:
    if values_ND.shape != targets_NT.shape:
        raise LibraryError(
            f"{targets_NT.shape[1]} targets a row, but the model has {values_ND.shape[1]} outputs"
        )
    return Paired(values_ND, targets_NT)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@lru_cache(maxsize=256)
def _log_ignored(entry: str) -> None:
    logger.info("measure %r is unknown or does not apply here, ignored", entry)
