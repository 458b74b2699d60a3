"""Learning-rate policies against torch's schedulers, and against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LRScheduler,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

from dd_ray.mllibs.torch.schedule import POLICIES, Schedule, first_period, learning_rate

ITERATIONS = 60


def rates(count: int = ITERATIONS, **given: Any) -> list[float]:
    schedule = Schedule(**{"base_lr": 0.4, "iterations": ITERATIONS} | given)
    return [learning_rate(iteration, schedule) for iteration in range(count)]


def torch_rates(scheduler: Callable[[Optimizer], LRScheduler]) -> list[float]:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule, found = scheduler(optimizer), []
    for _ in range(ITERATIONS):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("given", "scheduler"),
    [
        (
            {"policy": "step", "gamma": 0.3, "stepsize": 7},
            lambda o: StepLR(o, step_size=7, gamma=0.3),
        ),
        ({"policy": "exp", "gamma": 0.9}, lambda o: ExponentialLR(o, gamma=0.9)),
        (
            {"policy": "multistep", "gamma": 0.3, "stepvalue": (5, 6, 40)},
            lambda o: MultiStepLR(o, milestones=[5, 6, 40], gamma=0.3),
        ),
        (
            {"policy": "poly", "power": 1.7},
            lambda o: PolynomialLR(o, total_iters=ITERATIONS, power=1.7),
        ),
        (
            {"policy": "sgdr", "period": 8, "p_mult": 2.0, "lr_mult": 1.0, "min_lr": 0.01},
            lambda o: CosineAnnealingWarmRestarts(o, T_0=8, T_mult=2, eta_min=0.01),
        ),
        (
            {"policy": "sgdr", "period": 8, "p_mult": 1.0, "lr_mult": 1.0, "min_lr": 0.01},
            lambda o: CosineAnnealingWarmRestarts(o, T_0=8, T_mult=1, eta_min=0.01),
        ),
    ],
    ids=lambda value: f"{value['policy']}-{len(value)}" if isinstance(value, dict) else "",
)
def test_a_policy_that_torch_has_is_torch_s(
    given: dict[str, Any], scheduler: Callable[[Optimizer], LRScheduler]
) -> None:
    np.testing.assert_allclose(rates(**given), torch_rates(scheduler), rtol=1e-9)


def test_fixed_stays() -> None:
    assert set(rates(policy="fixed")) == {0.4}


def test_inv_falls_as_a_power() -> None:
    found = rates(policy="inv", gamma=0.5, power=2.0)
    assert [found[i] for i in (0, 2, 6)] == pytest.approx([0.4, 0.1, 0.025])


def test_sigmoid_has_its_middle_at_stepsize_and_falls_where_gamma_is_negative() -> None:
    found = rates(policy="sigmoid", gamma=-1.0, stepsize=30)
    expected = [0.4 / (1 + math.exp(1.0 * (i - 30))) for i in range(ITERATIONS)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_sigmoid_does_not_overflow_far_from_stepsize() -> None:
    assert rates(10**4, policy="sigmoid", gamma=-1.0, stepsize=5000)[::9999] == [0.4, 0.0]


def test_sgdr_restarts_lower_by_lr_mult_and_ends_at_min_lr() -> None:
    """Cycles of 10, 20 and 40 iterations with peaks 0.4, 0.2 and 0.1."""
    found = rates(70, policy="sgdr", period=10, lr_mult=0.5, min_lr=0.02)
    assert [found[i] for i in (0, 10, 30)] == pytest.approx([0.4, 0.2, 0.1])
    assert [found[i] for i in (5, 20, 50)] == pytest.approx([0.21, 0.11, 0.06])
    assert all(0.02 < found[i] < 0.03 for i in (9, 29, 69))


def test_cycles_of_any_growth_fill_the_training() -> None:
    """Three cycles of 52 iterations with growth 3 have 4, 12 and 36."""
    period = first_period(52, 3, 3.0)
    found = rates(52, policy="sgdr", period=period, p_mult=3.0, lr_mult=1.0)
    assert [i for i in range(1, 52) if found[i] > found[i - 1]] == [4, 16]


def test_warm_up_replaces_the_policy_and_does_not_delay_it() -> None:
    """(iteration * 0.4 + (4 - iteration) * 0.2) / 4, then halves at 3 * n."""
    found = rates(8, policy="step", gamma=0.5, stepsize=3, warmup_lr=0.2, warmup_iter=4)
    assert found == pytest.approx([0.2, 0.25, 0.3, 0.35, 0.2, 0.2, 0.1, 0.1])


@pytest.mark.parametrize("policy", POLICIES.names())
def test_every_policy_starts_at_most_at_base_lr_and_stays_above_0(policy: str) -> None:
    found = rates(policy=policy, gamma=0.5, stepsize=3, stepvalue=(4,), period=ITERATIONS)
    assert 0 < found[0] <= 0.4
    assert all(0 < rate <= 0.4 for rate in found)
