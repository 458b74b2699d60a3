"""Measures of multi-label classification: probabilities [N, C] against targets [N, C]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats


def multi_label_f1(probs_NC: Floats, targets_NC: NDArray[np.float64]) -> dict[str, Any]:
    """f1, precision, sensitivity, specificity, and the harmonic mean of the last two.

    Over all cells at once. A class is predicted from a probability of 0.5 on, it is true from a
    target of 0.5 on, and a negative target counts nowhere. What has nothing to divide by is 0.

    >>> found = multi_label_f1(np.array([[0.9, 0.2], [0.7, 0.4]]), np.array([[1, 0], [0, -1.0]]))
    >>> found["precision"], found["sensitivity"], found["specificity"]
    (0.5, 1.0, 0.5)
    """
    counted_NC = targets_NC >= 0
    true_NC = targets_NC >= 0.5
    found_NC = probs_NC >= 0.5
    hits = int(np.sum(found_NC & true_NC & counted_NC))
    false_alarms = int(np.sum(found_NC & ~true_NC & counted_NC))
    misses = int(np.sum(~found_NC & true_NC & counted_NC))
    rejections = int(np.sum(~found_NC & ~true_NC & counted_NC))
    sensitivity = _ratio(hits, hits + misses)
    specificity = _ratio(rejections, rejections + false_alarms)
    return {
        "f1": _ratio(2 * hits, 2 * hits + false_alarms + misses),
        "precision": _ratio(hits, hits + false_alarms),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "harmmean": _ratio(2 * sensitivity * specificity, sensitivity + specificity),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
