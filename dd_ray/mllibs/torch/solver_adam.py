"""Adam with rectification, AdaBelief and AMSGrad in any combination, which no library has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class AdamVariant(Optimizer):
    """Adam, arXiv 1412.6980, where d is g, or g - m with `adabelief` (arXiv 2010.07468):

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * d ^ 2 (+ eps with adabelief)
        w = w - lr * r * sqrt(1 - beta2 ^ t) / (1 - beta1 ^ t) * m / (sqrt(v) + eps)

    `amsgrad` takes the largest v so far (arXiv 1904.09237), `rectified` the factor r of
    `rectification`, and while that is 0 the step w - lr * m / (1 - beta1 ^ t). Else r is 1.
    """

    def __init__(
        self,
        weights: Iterable[torch.Tensor],
        *,
        lr: float,
        betas: tuple[float, float],
        rectified: bool,
        adabelief: bool,
        amsgrad: bool,
    ) -> None:
        super().__init__(weights, {"lr": lr})
        self._betas = betas
        self._rectified = rectified
        self._adabelief = adabelief
        self._amsgrad = amsgrad
        self._eps = 1e-16 if adabelief else 1e-8  # AdaBelief has its eps under the square root

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closures here
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, self.state[weight], lr=group["lr"])

    def _update(
        self, weight: torch.Tensor, gradient: torch.Tensor, state: dict[str, Any], *, lr: float
    ) -> None:
        if not state:
            names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * self._amsgrad
            state.update({name: torch.zeros_like(weight) for name in names}, step=0)
        state["step"] += 1
        beta1, beta2 = self._betas
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(gradient, 1 - beta1)
        surprise = gradient - mean if self._adabelief else gradient
        square.mul_(beta2).addcmul_(surprise, surprise, value=1 - beta2)
        if self._adabelief:
            square.add_(self._eps)
        if self._amsgrad:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        size = lr / (1 - beta1 ** state["step"])
        factor = rectification(state["step"], beta2) if self._rectified else 1.0
        if factor:
            size *= factor * math.sqrt(1 - beta2 ** state["step"])
            weight.addcdiv_(mean, square.sqrt().add_(self._eps), value=-size)
        else:
            weight.add_(mean, alpha=-size)


def rectification(step: int, beta2: float) -> float:
    """The factor r of update `step`, from 1; 0 where the variance of v is not to be known yet.

    arXiv 1908.03265, algorithm 2, with the threshold 5 of its authors' code and of torch.optim,
    where the paper has 4.

    >>> rectification(5, 0.999), round(rectification(6, 0.999), 4), rectification(10**6, 0.999)
    (0.0, 0.0258, 1.0)
    """
    longest = 2 / (1 - beta2) - 1
    decayed = beta2**step
    length = longest - 2 * step * decayed / (1 - decayed)
    if length <= 5:
        return 0.0
    return math.sqrt(
        ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
    )
