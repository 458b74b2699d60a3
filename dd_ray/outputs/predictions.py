"""The prediction objects of the API out of what a model computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dd_ray.data import Floats, Output, Scores
from dd_ray.outputs.params import OutputParams


def predictions(
    output: Output, uris: Sequence[str], params: OutputParams, *, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """One object for each of the N rows, in their order.

    Classes come best first, equal probabilities by ascending class index; regression outputs in
    their own order. `last: true` marks the end of each inner list, as DeepDetect does.
    """
    if isinstance(output, Scores):
        inner = _classes(output.probs_NC, params, class_names)
        key = "classes"
    else:
        inner = [_vector(row) for row in output.values_ND.tolist()]
        key = "vector"
    return [{"uri": uri, key: items} for uri, items in zip(uris, inner, strict=True)]


def _classes(
    probs_NC: Floats, params: OutputParams, class_names: Sequence[str]
) -> list[list[dict[str, Any]]]:
    count = probs_NC.shape[1]
    best = count if params.best < 0 else min(params.best, count)
    if best == 1:
        order_NK = probs_NC.argmax(axis=1)[:, None]
    else:
        order_NK = np.argsort(-probs_NC, axis=1, kind="stable")[:, :best]
    best_NK = np.take_along_axis(probs_NC, order_NK, axis=1)
    names = [class_names[i] if i < len(class_names) else str(i) for i in range(count)]
    threshold = params.confidence_threshold
    rows = []
    for ids, probs in zip(order_NK.tolist(), best_NK.tolist(), strict=True):
        items: list[dict[str, Any]] = [
            {"prob": prob, "cat": names[i]}
            for i, prob in zip(ids, probs, strict=True)
            if threshold == 0 or prob > threshold
        ]
        if items:
            items[-1]["last"] = True
        rows.append(items)
    return rows


def _vector(values: list[float]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [{"val": val, "cat": str(i)} for i, val in enumerate(values)]
    if items:
        items[-1]["last"] = True
    return items
