"""Measures between vectors of values: predictions [N, D] against targets [N, D].

Cells whose target is below 0 say nothing, as in DeepDetect's soft multi-label tasks, unless the
caller keeps them (`known_ND`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dd_ray.data import Floats

Mask = NDArray[np.bool_]

_SMALLEST = 1e-5
"""Values are raised to it under a logarithm."""

DELTAS = (0.05, 0.1, 0.2, 0.5)


def kl(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float:
    """Mean over the cells of t ln(t / p) (Kullback-Leibler), both raised to at least 1e-5.

    >>> kl(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[True, True]]))
    0.0
    """
    p, t = _positive(values_ND[known_ND]), _positive(targets_ND[known_ND])
    return float((t * np.log(t / p)).mean())


def js(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float:
    """Mean over the cells of the Jensen-Shannon divergence, both raised to at least 1e-5.

    >>> js(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]), np.array([[True, True]]))
    0.0
    """
    p, t = _positive(values_ND[known_ND]), _positive(targets_ND[known_ND])
    middle = (p + t) / 2
    return float((0.5 * t * np.log(t / middle) + 0.5 * p * np.log(p / middle)).mean())


def was(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float:
    """The root of the mean squared difference, which DeepDetect calls Wasserstein distance.

    >>> was(np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]]), np.array([[True, True]]))
    3.0
    """
    away = targets_ND[known_ND] - values_ND[known_ND]
    return float(np.sqrt((away**2).mean()))


def ks(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float:
    """The largest absolute difference of any cell (Kolmogorov-Smirnov).

    >>> ks(np.array([[0.25, 0.5]]), np.array([[0.5, 0.5]]), np.array([[True, True]]))
    0.25
    """
    return float(np.abs(targets_ND[known_ND] - values_ND[known_ND]).max())


def dc(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float:
    """Mean over the examples of the distance correlation of their cells; 0 where one is constant.

    Szekely, Rizzo, Bakirov 2007, "Measuring and testing dependence by correlation of distances".

    >>> values = np.array([[1.0, 2.0, 4.0]])
    >>> round(dc(values, 2 * values, np.full((1, 3), True)), 6)
    1.0
    """
    rows = zip(values_ND, targets_ND, known_ND, strict=True)
    found = [_distance_correlation(p[known], t[known]) for p, t, known in rows if known.any()]
    return float(np.mean(found))


def r2(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> float | None:
    """Coefficient of determination over all cells; None for targets that are all equal.

    >>> r2(np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]]), np.full((2, 1), True))
    1.0
    """
    p, t = values_ND[known_ND], targets_ND[known_ND]
    total = ((t - t.mean()) ** 2).sum()
    return float(1 - ((t - p) ** 2).sum() / total) if total > 0 else None


def deltas(values_ND: Floats, targets_ND: Floats, known_ND: Mask) -> dict[float, float]:
    """Share of cells nearer than each of 0.05, 0.1, 0.2 and 0.5.

    >>> deltas(np.array([[0.0, 0.3]]), np.array([[0.0, 0.0]]), np.full((1, 2), True))
    {0.05: 0.5, 0.1: 0.5, 0.2: 0.5, 0.5: 1.0}
    """
    away = np.abs(targets_ND[known_ND] - values_ND[known_ND])
    return {delta: float((away < delta).mean()) for delta in DELTAS}


def _positive(cells: Floats) -> Floats:
    return np.maximum(cells.astype(np.float64), _SMALLEST)


def _distance_correlation(p_D: Floats, t_D: Floats) -> float:
    a_DD, b_DD = _centred_distances(t_D), _centred_distances(p_D)
    spread = np.sqrt((a_DD * a_DD).mean() * (b_DD * b_DD).mean())
    if spread <= 1e-24:
        return 0.0
    return float(np.sqrt(max((a_DD * b_DD).mean(), 0.0) / spread))


def _centred_distances(x_D: Floats) -> Floats:
    away_DD = np.abs(x_D[:, None].astype(np.float64) - x_D[None, :])
    centred_DD: Floats = away_DD - away_DD.mean(axis=0) - away_DD.mean(axis=1)[:, None]
    centred_DD += away_DD.mean()
    return centred_DD
