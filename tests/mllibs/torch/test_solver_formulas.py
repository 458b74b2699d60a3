"""Each solver type against its published formula, in plain NumPy or in another library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import timm.optim
import torch
from numpy.typing import NDArray
from torch import nn

from dd_ray.mllibs.torch.solver import Solver
from dd_ray.mllibs.torch.solver_params import SolverParams

Array = NDArray[np.float64]

RNG = np.random.default_rng(0)
START = RNG.normal(size=(3, 4))
GRADIENTS = RNG.normal(size=(12, 3, 4))
RATE = 0.1
EPS = 1e-8


def steps(count: int = 5, *, scale: float = 1.0, **given: Any) -> Array:
    """The weights after each of `count` updates with GRADIENTS times `scale`."""
    network = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        network.weight.copy_(torch.tensor(START))
    params = SolverParams.merge({"iterations": count, "base_lr": RATE} | given)
    solver = Solver(network, params.resolved({}))
    weights = []
    for iteration in range(count):
        network.weight.grad = torch.tensor(scale * GRADIENTS[iteration])
        solver.step(iteration)
        weights.append(network.weight.detach().numpy().copy())
    return np.stack(weights)


def library_steps(
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer], *, scale: float = 1.0
) -> Array:
    """The same with another library's optimizer."""
    weight = nn.Parameter(torch.tensor(START))
    stepping = optimizer([weight])
    weights = []
    for gradient in GRADIENTS:
        weight.grad = torch.tensor(scale * gradient)
        stepping.step()
        weights.append(weight.detach().numpy().copy())
    return np.stack(weights)


def same(found: Array, formula: Iterator[Array], rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(found, [next(formula) for _ in found], rtol=rtol)


def sgd(
    rates: Callable[[int], float] = lambda t: RATE,
    momentum: float = 0.9,
    nesterov: bool = False,
    decay: float = 0.0,
) -> Iterator[Array]:
    w, h = START, np.zeros_like(START)
    for t, g in enumerate(GRADIENTS):
        before = h
        h = momentum * h + rates(t) * (g + decay * w)
        w = w - ((1 + momentum) * h - momentum * before if nesterov else h)
        yield w


def adam(
    beta1: float = 0.9,
    beta2: float = 0.999,
    *,
    amsgrad: bool = False,
    rectified: bool = False,
    adabelief: bool = False,
    nu: Callable[[int], float] = lambda t: 1.0,
    decay: float = 0.0,
) -> Iterator[Array]:
    w, m, v, largest = START, np.zeros_like(START), np.zeros_like(START), np.zeros_like(START)
    rho_inf = 2 / (1 - beta2) - 1
    for t, g in enumerate(GRADIENTS, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g - m if adabelief else g) ** 2
        largest = np.maximum(largest, v)
        update = m / (1 - beta1**t)
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if not rectified or rho > 5:
            square = (largest if amsgrad else v) / (1 - beta2**t)
            update = update / (np.sqrt(square) + EPS)
        if rectified and rho > 5:
            factor = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
            update = update * np.sqrt(factor)
        w = w - nu(t - 1) * (RATE * update + decay * w)
        yield w


def test_sgd() -> None:
    same(steps(solver_type="SGD"), sgd())


def test_sgd_without_momentum() -> None:
    same(steps(solver_type="SGD", momentum=0.0), sgd(momentum=0.0))


def test_nesterov() -> None:
    same(steps(solver_type="NESTEROV", momentum=0.7), sgd(momentum=0.7, nesterov=True))


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_the_rate_of_each_gradient(nesterov: bool) -> None:
    found = steps(
        solver_type="NESTEROV" if nesterov else "SGD", lr_policy="step", gamma=0.5, stepsize=2
    )
    same(found, sgd(lambda t: RATE * 0.5 ** (t // 2), nesterov=nesterov))


def test_weight_decay_is_added_to_the_gradient() -> None:
    same(steps(solver_type="SGD", weight_decay=0.3), sgd(decay=0.3))


def test_adagrad() -> None:
    def formula() -> Iterator[Array]:
        w, h = START, np.zeros_like(START)
        for g in GRADIENTS:
            h = h + g * g
            w = w - RATE * g / (np.sqrt(h) + EPS)
            yield w

    same(steps(solver_type="ADAGRAD"), formula())


def test_rmsprop() -> None:
    def formula(decay: float) -> Iterator[Array]:
        w, h = START, np.zeros_like(START)
        for g in GRADIENTS:
            h = decay * h + (1 - decay) * g * g
            w = w - RATE * g / (np.sqrt(h) + EPS)
            yield w

    same(steps(solver_type="RMSPROP"), formula(0.99))
    same(steps(solver_type="RMSPROP", rms_decay=0.8), formula(0.8))


def test_adadelta() -> None:
    def formula(rho: float) -> Iterator[Array]:
        w, h, u = START, np.zeros_like(START), np.zeros_like(START)
        for g in GRADIENTS:
            h = rho * h + (1 - rho) * g * g
            update = g * np.sqrt((u + EPS) / (h + EPS))
            u = rho * u + (1 - rho) * update**2
            w = w - RATE * update
            yield w

    same(steps(solver_type="ADADELTA"), formula(0.9))
    same(steps(solver_type="ADADELTA", momentum=0.5), formula(0.5))


def test_adam() -> None:
    same(steps(solver_type="ADAM"), adam())
    same(steps(solver_type="ADAM", beta1=0.8, beta2=0.9), adam(0.8, 0.9))


def test_amsgrad() -> None:
    """With a short memory, so that second moments do fall."""
    found = steps(12, solver_type="AMSGRAD", beta2=0.5)
    same(found, adam(beta2=0.5, amsgrad=True))
    assert np.abs(found - steps(12, solver_type="ADAM", beta2=0.5)).max() > 0.01


@pytest.mark.parametrize("solver_type", ["ADAM", "AMSGRAD"])
@pytest.mark.parametrize("adabelief", [False, True])
@pytest.mark.parametrize("beta2", [0.9, 0.999])
def test_rectified_and_adabelief(solver_type: str, adabelief: bool, beta2: float) -> None:
    """With and without the rectification, which begins at the sixth update."""
    options: dict[str, Any] = {"adabelief": adabelief, "amsgrad": solver_type == "AMSGRAD"}
    found = steps(12, solver_type=solver_type, rectified=True, adabelief=adabelief, beta2=beta2)
    same(found, adam(beta2=beta2, rectified=True, **options), rtol=1e-5)
    found = steps(12, solver_type=solver_type, adabelief=adabelief, beta2=beta2)
    same(found, adam(beta2=beta2, **options), rtol=1e-5)


@pytest.mark.parametrize("name", ["RADAM", "ADAM"])
def test_rectified_adam_is_torch_s(name: str) -> None:
    found = steps(12, solver_type=name, rectified=True)
    expected = library_steps(lambda weights: torch.optim.RAdam(weights, lr=RATE))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-8])
def test_adabelief_is_timm_s(rectified: bool, scale: float) -> None:
    """Where gradients are small, its eps under the square root shows."""
    found = steps(12, scale=scale, solver_type="ADAM", adabelief=True, rectified=rectified)
    expected = library_steps(
        lambda weights: timm.optim.AdaBelief(weights, lr=RATE, rectify=rectified), scale=scale
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


NU = (1.0, 0.5, 1.0, 0.853553, 0.5, 0.146447)
"""Two periods that fill six iterations: 2 and 4."""


def test_sgdw_takes_decay_apart_from_momentum() -> None:
    """arXiv 1711.05101, algorithm 1."""

    def formula() -> Iterator[Array]:
        w, m = START, np.zeros_like(START)
        for g, nu in zip(GRADIENTS, NU, strict=False):
            m = 0.9 * m + nu * RATE * g
            w = w - m - nu * 0.01 * w
            yield w

    found = steps(6, solver_type="SGDW", weight_decay=0.01, decoupled_wd_periods=2)
    same(found, formula(), rtol=1e-5)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adamw_and_amsgradw(amsgrad: bool) -> None:
    """arXiv 1711.05101, algorithm 2."""
    name = "AMSGRADW" if amsgrad else "ADAMW"
    found = steps(6, solver_type=name, weight_decay=0.01, decoupled_wd_periods=2, beta2=0.5)
    formula = adam(beta2=0.5, amsgrad=amsgrad, nu=lambda t: NU[t], decay=0.01)
    same(found, formula, rtol=1e-5)


def test_the_growth_of_decoupled_periods() -> None:
    """Periods of 3 and 3 iterations."""
    nu = (1.0, 0.75, 0.25, 1.0, 0.75, 0.25)
    given = {"decoupled_wd_periods": 2, "decoupled_wd_mult": 1.0}
    found = steps(6, solver_type="ADAMW", weight_decay=0.01, **given)
    same(found, adam(nu=lambda t: nu[t], decay=0.01), rtol=1e-9)


def test_rectified_combines_with_decoupled_decay() -> None:
    found = steps(6, solver_type="ADAMW", rectified=True, decoupled_wd_periods=2, weight_decay=0.01)
    formula = adam(rectified=True, nu=lambda t: NU[t], decay=0.01)
    same(found, formula, rtol=1e-5)


def test_lookahead() -> None:
    def formula(every: int, alpha: float) -> Iterator[Array]:
        slow = w = START
        h = np.zeros_like(START)
        for t, g in enumerate(GRADIENTS, start=1):
            h = 0.9 * h + RATE * g
            w = w - h
            if t % every == 0:
                slow = w = slow + alpha * (w - slow)
            yield w

    found = steps(7, solver_type="SGD", lookahead=True, lookahead_steps=3, lookahead_alpha=0.2)
    same(found, formula(3, 0.2))
    same(steps(12, solver_type="SGD", lookahead=True), formula(6, 0.5))


def test_gradient_centralization() -> None:
    def formula() -> Iterator[Array]:
        w, h = START, np.zeros_like(START)
        for g in GRADIENTS:
            h = 0.9 * h + RATE * (g - g.mean(axis=1, keepdims=True))
            w = w - h
            yield w

    same(steps(solver_type="SGD", gradient_centralization=True), formula())


def test_values_are_clipped_before_the_norm() -> None:
    def formula() -> Iterator[Array]:
        w = START
        for g in GRADIENTS:
            g = np.clip(g, -0.6, 0.6)
            w = w - RATE * g * min(1, 1.2 / np.linalg.norm(g))
            yield w

    found = steps(clip=True, clip_value=0.6, clip_norm=1.2, momentum=0.0)
    same(found, formula(), rtol=1e-5)
    assert np.abs(GRADIENTS[:5]).max() > 0.6
