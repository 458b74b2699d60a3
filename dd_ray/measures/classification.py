"""Measures of single-label classification: scores [N, C] against class indices [N]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats, Ints

_EPSILON = 1e-8
"""Added to each divisor of precision, recall and f1, as DeepDetect does."""

_SMALLEST_PROB = 1e-15
"""Probabilities are clipped to it under a logarithm, so that the loss stays finite."""


def acc(scores_NC: Floats, targets_N: Ints, k: int = 1) -> float:
    """Share of examples whose class is among the k best; ties go to the lower index.

    A k above the number of classes gives 0, as in DeepDetect.

    >>> scores = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    >>> acc(scores, np.array([0, 2])), acc(scores, np.array([0, 2]), k=2)
    (0.5, 1.0)
    """
    if k > scores_NC.shape[1]:
        return 0.0
    own_N1: Floats = np.take_along_axis(scores_NC, targets_N[:, None], axis=1)
    index_C = np.arange(scores_NC.shape[1])
    ahead_NC = (scores_NC > own_N1) | ((scores_NC == own_N1) & (index_C < targets_N[:, None]))
    return float(np.mean(ahead_NC.sum(axis=1) < k))


def confusion(scores_NC: Floats, targets_N: Ints) -> Ints:
    """Counts [C, C]: rows are predicted classes, columns true ones.

    >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    array([[1, 1],
           [0, 0]])
    """
    classes = scores_NC.shape[1]
    cells_N = scores_NC.argmax(axis=1) * classes + targets_N
    return np.bincount(cells_N, minlength=classes * classes).reshape(classes, classes)


def by_class(counts_CC: Ints) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and f1 of each class, [C] each."""
    hits_C = np.diag(counts_CC).astype(np.float64)
    precision_C = hits_C / (counts_CC.sum(axis=1) + _EPSILON)
    recall_C = hits_C / (counts_CC.sum(axis=0) + _EPSILON)
    f1_C = 2 * precision_C * recall_C / (precision_C + recall_C + _EPSILON)
    return precision_C, recall_C, f1_C


def f1(counts_CC: Ints) -> dict[str, float]:
    """Macro f1, precision and recall (means over all classes) and accuracy `accp`.

    >>> {k: round(v, 3) for k, v in f1(np.array([[2, 0], [0, 2]])).items()}
    {'f1': 1.0, 'precision': 1.0, 'recall': 1.0, 'accp': 1.0}
    """
    precision_C, recall_C, f1_C = by_class(counts_CC)
    return {
        "f1": float(f1_C.mean()),
        "precision": float(precision_C.mean()),
        "recall": float(recall_C.mean()),
        "accp": float(np.trace(counts_CC) / counts_CC.sum()),
    }


def f1full(counts_CC: Ints) -> dict[str, list[float]]:
    """Precision, recall and f1 of each class.

    >>> f1full(np.array([[1, 0], [0, 1]]))["f1s"] == f1full(np.array([[1, 0], [0, 1]]))["recalls"]
    False
    """
    precision_C, recall_C, f1_C = by_class(counts_CC)
    return {"precisions": precision_C.tolist(), "recalls": recall_C.tolist(), "f1s": f1_C.tolist()}


def cmdiag(counts_CC: Ints) -> list[float]:
    """Recall of each class: the diagonal of the confusion matrix over its column sums.

    >>> [round(v, 3) for v in cmdiag(np.array([[1, 1], [0, 1]]))]
    [1.0, 0.5]
    """
    recall_C = by_class(counts_CC)[1]
    return [float(recall) for recall in recall_C]


def cmfull(counts_CC: Ints, labels: Sequence[str]) -> list[dict[str, list[float]]]:
    """For each true class, the share predicted as class 0, 1, ...; zeros without examples.

    >>> cmfull(np.array([[1, 1], [0, 1]]), ["a", "b"])
    [{'a': [1.0, 0.0]}, {'b': [0.5, 0.5]}]
    """
    share_CC = counts_CC / np.maximum(counts_CC.sum(axis=0), 1)
    return [{label: share_CC[:, i].tolist()} for i, label in enumerate(labels)]


def mcll(scores_NC: Floats, targets_N: Ints) -> float:
    """Multi-class log loss, minus the mean of the logarithm of the true class's probability.

    >>> round(mcll(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0])), 4)
    0.3466
    """
    own_N = np.take_along_axis(scores_NC, targets_N[:, None], axis=1)[:, 0].astype(np.float64)
    return float(-np.log(np.clip(own_N, _SMALLEST_PROB, None)).mean())


def auc(scores_NC: Floats, targets_N: Ints) -> float | None:
    """Area under the ROC curve of two classes by the score of class 1 (Mann-Whitney U).

    Ties count half; 1 when there is only one class, None when there are more than two columns.

    >>> auc(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
    1.0
    """
    if scores_NC.shape[1] != 2:
        return None
    positive_N = targets_N == 1
    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    if positives == 0 or negatives == 0:
        return 1.0
    _, inverse_N, counts = np.unique(scores_NC[:, 1], return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    rank_N = (last_rank - (counts - 1) / 2)[inverse_N]
    wins = rank_N[positive_N].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def mcc(counts_CC: Ints) -> float:
    """Matthews correlation coefficient, its generalisation R_K to more classes; 0 when undefined.

    Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".

    >>> mcc(np.array([[2, 0], [0, 2]]))
    1.0
    """
    counts = counts_CC.astype(np.float64)
    predicted, true, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * total - predicted @ true
    spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def raw(scores_NC: Floats, targets_N: NDArray[Any], labels: Sequence[str]) -> dict[str, list[Any]]:
    """True and predicted class names and the probability of the prediction, per example.

    >>> raw(np.array([[0.25, 0.75]]), np.array([0]), ["a", "b"])
    {'truths': ['a'], 'estimations': ['b'], 'confidences': [0.75]}
    """
    best_N = scores_NC.argmax(axis=1)
    return {
        "truths": [labels[int(i)] for i in targets_N],
        "estimations": [labels[int(i)] for i in best_N],
        "confidences": scores_NC.max(axis=1).astype(np.float64).tolist(),
    }
