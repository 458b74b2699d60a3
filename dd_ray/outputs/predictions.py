"""The prediction objects of the API out of what a model computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dd_ray.data import Floats, Output, Reconstructions, Scores, Values
from dd_ray.errors import BadParameter
from dd_ray.outputs.params import OutputParams
from dd_ray.settings import settings


def predictions(
    output: Output, uris: Sequence[str], params: OutputParams, *, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """One object for each of the N rows, in their order.

    Classes come best first, equal probabilities by ascending class index; regression outputs in
    their own order. `last: true` marks the end of each inner list, and the last of the predictions
    where they have none, as DeepDetect does.
    """
    _check_size(output, params)
    match output:
        case Scores():
            items = _keyed(uris, "classes", _classes(output.probs_NC, params, class_names))
            if params.logits or params.logits_blob:
                _add_logits(items, output)
        case Values():
            rows = output.values_ND.tolist()
            items = _keyed(uris, "vector", [_vector(row, class_names) for row in rows])
        case Reconstructions():
            losses = output.losses_N.tolist()
            items = _keyed(uris, "losses", [[{"loss": loss, "last": True}] for loss in losses])
        case _:
            items = _keyed(uris, "vals", [_vals(row, params) for row in output.values_NV])
            items[-1]["last"] = True
    return items


def _check_size(output: Output, params: OutputParams) -> None:
    """Raises BadParameter for an answer that would be too long."""
    match output:
        case Scores():
            rows, width = output.probs_NC.shape
            shown = width if params.best < 0 else min(params.best, width)
            shown += width if params.logits or params.logits_blob else 0
        case Values():
            rows, shown = output.values_ND.shape
        case Reconstructions():
            rows, shown = len(output.losses_N), 1
        case _:
            rows, shown = output.values_NV.shape
    most = settings().max_predictions
    if rows * shown > most:
        raise BadParameter(
            f"the answer has {rows} predictions with {shown} values each, expected at most {most}"
            " in all: send less data in one call, or ask for fewer classes"
            " (parameters.output.best)"
        )


def _keyed(uris: Sequence[str], key: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"uri": uri, key: row} for uri, row in zip(uris, rows, strict=True)]


def _add_logits(items: list[dict[str, Any]], scores: Scores) -> None:
    """Adds the logits of all classes in class order; models without logits have none to add."""
    if scores.logits_NC is not None:
        for item, row in zip(items, scores.logits_NC.tolist(), strict=True):
            item["logits"] = row


def _classes(
    probs_NC: Floats, params: OutputParams, class_names: Sequence[str]
) -> list[list[dict[str, Any]]]:
    count = probs_NC.shape[1]
    best = count if params.best < 0 else min(params.best, count)
    names = [class_names[i] if i < len(class_names) else str(i) for i in range(count)]
    threshold = params.confidence_threshold
    if best == 1:  # most calls: a third of the time of what follows
        best_N = probs_NC.max(axis=1).tolist()
        return [
            [{"prob": prob, "cat": names[i], "last": True}]
            if threshold == 0 or prob > threshold
            else []
            for i, prob in zip(probs_NC.argmax(axis=1).tolist(), best_N, strict=True)
        ]
    order_NK = np.argsort(-probs_NC, axis=1, kind="stable")[:, :best]
    best_NK = np.take_along_axis(probs_NC, order_NK, axis=1)
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


def _vector(values: list[float], names: Sequence[str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {"val": value, "cat": names[i] if i < len(names) else str(i)}
        for i, value in enumerate(values)
    ]
    if items:
        items[-1]["last"] = True
    return items


def _vals(values_V: Floats, params: OutputParams) -> Any:
    """Values as they are or as bits; the first of the three ways that is asked for counts."""
    if params.binarized:
        return (values_V > 0).astype(np.float64).tolist()
    if params.bool_binarized:
        return (values_V > 0).tolist()
    if params.string_binarized:
        return "".join("1" if value > 0 else "0" for value in values_V.tolist())
    return values_V.tolist()
