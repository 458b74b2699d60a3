"""Measures of regression: values [N, D] against targets [N, D]."""

from __future__ import annotations

import numpy as np

from dd_ray.data import Floats


def eucll(values_ND: Floats, targets_ND: Floats, threshold: float = 0.0) -> dict[str, float]:
    """Mean euclidean distance over the examples; with D > 1 also the mean of each |difference|.

    Components nearer than `threshold` count as 0.

    >>> eucll(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]]))
    {'eucll': 5.0, 'eucll_0': 3.0, 'eucll_1': 4.0}
    """
    away_ND = np.abs(_difference(values_ND, targets_ND))
    away_ND = np.where(away_ND < threshold, 0.0, away_ND)
    result = {"eucll": float(np.sqrt((away_ND**2).sum(axis=1)).mean())}
    return result | _per_output("eucll", away_ND)


def l1(values_ND: Floats, targets_ND: Floats) -> dict[str, float]:
    """Mean absolute difference, over all and for each output when D > 1.

    >>> l1(np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]]))
    {'l1': 2.0}
    """
    away_ND = np.abs(_difference(values_ND, targets_ND))
    return {"l1": float(away_ND.mean())} | _per_output("l1", away_ND)


def percent(values_ND: Floats, targets_ND: Floats) -> dict[str, float]:
    """Mean absolute percentage error, the divisor padded with 1e-9.

    >>> round(percent(np.array([[1.1]]), np.array([[1.0]]))["percent"], 3)
    10.0
    """
    share_ND = 100 * np.abs(_difference(values_ND, targets_ND)) / (np.abs(targets_ND) + 1e-9)
    return {"percent": float(share_ND.mean())} | _per_output("percent", share_ND)


def gini(scores_N: Floats, targets_N: Floats) -> float | None:
    """Normalised Gini coefficient G(targets, scores) / G(targets, targets); None when undefined.

    G sorts by score, descending and stable, and sums the cumulated share of the targets above the
    diagonal. It is undefined for targets that are all equal or sum to 0.

    >>> gini(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    perfect = _gini(targets_N, targets_N)
    if perfect is None or abs(perfect) < 1e-12:
        return None
    found = _gini(scores_N, targets_N)
    return None if found is None else found / perfect


def _gini(scores_N: Floats, targets_N: Floats) -> float | None:
    ranked_N = targets_N[np.argsort(-scores_N, kind="stable")].astype(np.float64)
    total = ranked_N.sum()
    if total == 0:
        return None
    count = len(ranked_N)
    diagonal_N = np.arange(1, count + 1) / count
    return float((np.cumsum(ranked_N) / total - diagonal_N).sum() / count)


def _difference(values_ND: Floats, targets_ND: Floats) -> Floats:
    return values_ND.astype(np.float64) - targets_ND


def _per_output(name: str, cells_ND: Floats) -> dict[str, float]:
    if cells_ND.shape[1] < 2:
        return {}
    return {f"{name}_{j}": float(mean) for j, mean in enumerate(cells_ND.mean(axis=0))}
