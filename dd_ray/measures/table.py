"""The table of measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats
from dd_ray.errors import BadParameter
from dd_ray.measures import classification, distribution, multi_label, regression
from dd_ray.measures.measurable import Labelled, MultiLabelled, Paired
from dd_ray.registry import Registry

Argument = float | None
"""What follows the name in a request such as `acc-5` or `eucll-0.1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of the table: a name and what computes it for each kind of output."""

    name: str
    description: str
    of_scores: Callable[[Labelled, Argument], dict[str, Any]] | None = None
    of_labels: Callable[[MultiLabelled, Argument], dict[str, Any]] | None = None
    of_values: Callable[[Paired, Argument], dict[str, Any]] | None = None
    of_soft_labels: Callable[[Paired, Argument], dict[str, Any]] | None = None
    """Where it differs from `of_values`."""
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


def _acc_of_soft_labels(data: Paired, _: Argument) -> dict[str, Any]:
    """What DeepDetect means by the accuracy of soft labels: every measure of distributions."""
    result: dict[str, Any] = {}
    for name in ("kl", "js", "was", "ks", "dc", "r2", "deltas"):
        measure = MEASURES.find(name).of_values
        assert measure is not None
        result |= measure(data, None)
    return result


def _raw(data: Labelled, _: Argument) -> dict[str, Any]:
    raw = classification.raw(data.scores_NC, data.targets_N, data.labels)
    if data.logits_NC is not None:
        raw["all_logits"] = [{"logits": row} for row in data.logits_NC.tolist()]
    return {"raw": raw}


def _eucll(data: Paired, threshold: Argument) -> dict[str, Any]:
    result: dict[str, Any] = dict(regression.eucll(data.values_ND, data.targets_ND))
    if not data.by_output:
        return {"eucll": result["eucll"]}
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
        known_ND = data.known_ND
        result = {key: function(data.values_ND, data.targets_ND, known_ND)}
        if threshold is not None:
            above_ND = known_ND & (data.targets_ND > threshold)
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
            of_labels=lambda data, _: multi_label.multi_label_f1(data.probs_NC, data.targets_NC),
            of_soft_labels=_acc_of_soft_labels,
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
            of_scores=_raw,
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
