"""The solver: from gradients to updates of the weights.

SGD, AdaGrad, RMSProp, AdaDelta, Adam and AMSGrad are those of torch.optim, clipping is of
torch.nn.utils, `AdamVariant` has what they lack. Centralization, decoupled weight decay, dropout
of the learning rate and lookahead are a few lines each, around any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, Adadelta, Adagrad, Adam, Optimizer, RMSprop

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.schedule import learning_rate, restart_factor
from dd_ray.mllibs.torch.solver_adam import AdamVariant
from dd_ray.mllibs.torch.solver_params import Solving
from dd_ray.mllibs.torch.solver_types import Rule

EPS = 1e-8
"""Caffe's `delta`."""


class Solver:
    """Trains the parameters of a network that require a gradient.

    `seed` is that of lr_dropout, whose masks are a function of it and of the iteration.
    """

    def __init__(self, network: nn.Module, solving: Solving, *, seed: int = 0) -> None:
        self._solving = solving
        self._seed = seed
        self._weights: list[torch.Tensor] = [w for w in network.parameters() if w.requires_grad]
        if not self._weights:
            raise BadParameter("the network has no weights to train")
        self._optimizer = _OPTIMIZERS[solving.type.rule](self._weights, solving)
        self._slow = [w.detach().clone() for w in self._weights] if solving.lookahead else []

    @property
    def on_gpu(self) -> bool:
        return self._weights[0].is_cuda

    @torch.no_grad()
    def step(self, iteration: int) -> float:
        """Updates the weights by their gradients, forgets these, returns the learning rate."""
        solving = self._solving
        rate = learning_rate(iteration, solving.schedule)
        weights = [w for w in self._weights if w.grad is not None]
        if solving.gradient_centralization:
            centralize(_gradients(weights))
        if solving.clip_value:
            clip_grad_value_(weights, solving.clip_value)
        if solving.clip_norm:
            clip_grad_norm_(weights, solving.clip_norm)
        before = [w.clone() for w in weights] if solving.lr_dropout < 1 else []
        self._update(weights, iteration, rate)
        if before:
            self._drop(weights, before, iteration)
        if solving.lookahead and (iteration + 1) % solving.lookahead_steps == 0:
            # arXiv 1907.08610, algorithm 1
            torch._foreach_lerp_(self._slow, self._weights, solving.lookahead_alpha)
            torch._foreach_copy_(self._weights, self._slow)
        self._optimizer.zero_grad(set_to_none=True)
        return rate

    def _update(self, weights: list[torch.Tensor], iteration: int, rate: float) -> None:
        """Weight decay and the rule of the solver type."""
        solving, gradients = self._solving, _gradients(weights)
        if solving.type.decoupled:
            # arXiv 1711.05101, algorithms 1 and 2: w -= nu * (lr * step + weight_decay * w)
            factor = restart_factor(iteration, solving.wd_period, solving.wd_mult)
            torch._foreach_mul_(weights, 1 - factor * solving.weight_decay)
            rate *= factor
        elif solving.weight_decay:
            torch._foreach_add_(gradients, weights, alpha=solving.weight_decay)
        if solving.type.rule is Rule.SGD:
            # h = momentum * h + lr * g, as in Caffe; torch has h = momentum * h + g, w -= lr * h,
            # which is another thing where the rate changes
            torch._foreach_mul_(gradients, rate)
        else:
            self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step()

    def _drop(
        self, weights: list[torch.Tensor], before: list[torch.Tensor], iteration: int
    ) -> None:
        """Takes back what a coin says of each number's update; arXiv 1912.00144."""
        coin = torch.Generator(device=weights[0].device).manual_seed(self._seed + iteration)
        for weight, old in zip(weights, before, strict=True):
            drawn = torch.rand(weight.shape, generator=coin, device=weight.device)
            weight.copy_(torch.where(drawn < self._solving.lr_dropout, weight, old))

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beside weights and parameters: tensors, numbers and text."""
        return self._shape() | {
            "optimizer": self._optimizer.state_dict()["state"],
            "slow": self._slow,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; raises BadParameter when it is of another solver or network."""
        for key, own in self._shape().items():
            if state.get(key) != own:
                raise BadParameter(
                    f"the solver state does not fit, its {key}: {state.get(key)!s:.200},"
                    f" expected {own!s:.200}"
                )
        groups = self._optimizer.state_dict()["param_groups"]  # rates are the call's
        self._optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
        for own_slow, slow in zip(self._slow, state["slow"], strict=True):
            own_slow.copy_(slow)

    def _shape(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        return {
            "solver": self._solving.kind,
            "shapes": [list(w.shape) for w in self._weights],
        }


def centralize(gradients: Iterable[torch.Tensor]) -> None:
    """Takes from each output unit's gradient its mean; vectors stay. arXiv 2004.01461.

    >>> gradient = torch.tensor([[1.0, 3.0], [0.0, 4.0]])
    >>> centralize([gradient])
    >>> gradient.tolist()
    [[-1.0, 1.0], [-2.0, 2.0]]
    """
    for gradient in gradients:
        if gradient.dim() > 1:
            gradient -= gradient.mean(dim=tuple(range(1, gradient.dim())), keepdim=True)


def _gradients(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return [w.grad for w in weights if w.grad is not None]


def _sgd(weights: list[torch.Tensor], solving: Solving) -> Optimizer:
    momentum = solving.momentum
    nesterov = solving.type.nesterov and momentum > 0
    # not fused: that one fails where a weight has its first gradient late
    return SGD(weights, lr=1.0, momentum=momentum, nesterov=nesterov)


def _adagrad(weights: list[torch.Tensor], solving: Solving) -> Optimizer:
    return Adagrad(weights, eps=EPS, fused=True)


def _rmsprop(weights: list[torch.Tensor], solving: Solving) -> Optimizer:
    return RMSprop(weights, alpha=solving.rms_decay, eps=EPS)


def _adadelta(weights: list[torch.Tensor], solving: Solving) -> Optimizer:
    return Adadelta(weights, rho=solving.momentum, eps=EPS)


def _adam(weights: list[torch.Tensor], solving: Solving) -> Optimizer:
    betas, amsgrad = (solving.beta1, solving.beta2), solving.type.amsgrad
    if not (solving.rectified or solving.adabelief):
        return Adam(weights, betas=betas, eps=EPS, amsgrad=amsgrad, fused=True)
    return AdamVariant(
        weights,
        lr=0.0,
        betas=betas,
        rectified=solving.rectified,
        adabelief=solving.adabelief,
        amsgrad=amsgrad,
    )


_OPTIMIZERS: Mapping[Rule, Callable[[list[torch.Tensor], Solving], Optimizer]] = {
    Rule.SGD: _sgd,
    Rule.ADAGRAD: _adagrad,
    Rule.RMSPROP: _rmsprop,
    Rule.ADADELTA: _adadelta,
    Rule.ADAM: _adam,
}
"""Fused where torch has it without fault: on a CPU 2 to 4 times as fast as its own choice."""
