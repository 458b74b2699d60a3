"""Learning-rate policies: pure functions of the iteration, so that they need no state to resume.

The formulas are those of Caffe (`SGDSolver::GetLearningRate` and the comment on `lr_policy` in
caffe.proto), under its names; `iteration` counts from 0. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dd_ray.errors import BadParameter
from dd_ray.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A policy and its numbers; see the fields of `parameters.mllib.solver`."""

    policy: str = "fixed"
    base_lr: float
    iterations: int = 1
    """Of the whole training."""
    gamma: float = 1.0
    power: float = 1.0
    stepsize: int = 1
    stepvalue: tuple[int, ...] = ()
    period: float = 1.0
    """Of the first cycle of `sgdr`; fractions let cycles end where the training does."""
    p_mult: float = 2.0
    lr_mult: float = 0.8
    min_lr: float = 1e-6
    warmup_lr: float = 0.0
    warmup_iter: int = 0


def learning_rate(iteration: int, schedule: Schedule) -> float:
    """The rate of an iteration: the policy's, or on the way there while it warms up.

    (iteration * base_lr + (warmup_iter - iteration) * warmup_lr) / warmup_iter

    >>> slow = Schedule(base_lr=0.5, warmup_lr=0.1, warmup_iter=4)
    >>> [round(learning_rate(i, slow), 3) for i in range(6)]
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    """
    if iteration < schedule.warmup_iter:
        done = iteration / schedule.warmup_iter
        return done * schedule.base_lr + (1 - done) * schedule.warmup_lr
    return POLICIES.find(schedule.policy).rate(iteration, schedule)


def fixed(iteration: int, schedule: Schedule) -> float:
    """base_lr"""
    return schedule.base_lr


def step(iteration: int, schedule: Schedule) -> float:
    """base_lr * gamma ^ floor(iteration / stepsize)

    >>> step(25, Schedule(base_lr=1.0, gamma=0.5, stepsize=10))
    0.25
    """
    return schedule.base_lr * schedule.gamma ** (iteration // schedule.stepsize)


def exp(iteration: int, schedule: Schedule) -> float:
    """base_lr * gamma ^ iteration

    >>> exp(3, Schedule(base_lr=1.0, gamma=0.5))
    0.125
    """
    return schedule.base_lr * schedule.gamma**iteration


def inv(iteration: int, schedule: Schedule) -> float:
    """base_lr * (1 + gamma * iteration) ^ -power

    >>> inv(30, Schedule(base_lr=1.0, gamma=0.1, power=0.5))
    0.5
    """
    return schedule.base_lr * float((1 + schedule.gamma * iteration) ** -schedule.power)


def multistep(iteration: int, schedule: Schedule) -> float:
    """base_lr * gamma ^ (number of stepvalues <= iteration)

    >>> multistep(50, Schedule(base_lr=1.0, gamma=0.5, stepvalue=(20, 50, 80)))
    0.25
    """
    passed = sum(value <= iteration for value in schedule.stepvalue)
    return schedule.base_lr * schedule.gamma**passed


def poly(iteration: int, schedule: Schedule) -> float:
    """base_lr * (1 - iteration / iterations) ^ power

    >>> poly(50, Schedule(base_lr=1.0, iterations=100, power=2.0))
    0.25
    """
    return schedule.base_lr * float((1 - iteration / schedule.iterations) ** schedule.power)


def sigmoid(iteration: int, schedule: Schedule) -> float:
    """base_lr / (1 + exp(-gamma * (iteration - stepsize))); falls where gamma is negative.

    >>> sigmoid(100, Schedule(base_lr=1.0, gamma=-0.1, stepsize=100))
    0.5
    """
    # as a tanh, which does not overflow far from stepsize
    return schedule.base_lr * (
        0.5 + 0.5 * math.tanh(schedule.gamma * (iteration - schedule.stepsize) / 2)
    )


def sgdr(iteration: int, schedule: Schedule) -> float:
    """Cosine with warm restarts, arXiv 1608.03983 equation 5, from a peak that falls by lr_mult.

    min_lr + (base_lr * lr_mult ^ cycle - min_lr) * restart_factor

    >>> curve = Schedule(base_lr=1.0, period=10, p_mult=2.0, lr_mult=0.5, min_lr=0.0)
    >>> [round(sgdr(i, curve), 3) for i in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """
    index, _ = cycle(iteration, schedule.period, schedule.p_mult)
    peak = schedule.base_lr * schedule.lr_mult**index
    factor = restart_factor(iteration, schedule.period, schedule.p_mult)
    return schedule.min_lr + (peak - schedule.min_lr) * factor


def restart_factor(iteration: int, period: float, mult: float) -> float:
    """0.5 + 0.5 * cos(pi * t / T): from 1 towards 0 in each cycle of warm restarts.

    >>> [round(restart_factor(i, 10, 2.0), 3) for i in (0, 5, 10, 20, 29, 30)]
    [1.0, 0.5, 1.0, 0.5, 0.006, 1.0]
    """
    _, position = cycle(iteration, period, mult)
    return 0.5 + 0.5 * math.cos(math.pi * position)


def cycle(iteration: int, period: float, mult: float) -> tuple[int, float]:
    """Which cycle an iteration is in, and how far in [0, 1): they last period, period*mult, ...

    >>> cycle(5, 10, 2.0), cycle(10, 10, 2.0), cycle(40, 10, 2.0), cycle(45, 10, 1.0)
    ((0, 0.5), (1, 0.0), (2, 0.25), (4, 0.5))
    """
    if mult == 1:
        return int(iteration // period), iteration % period / period
    index, since, length = 0, float(iteration), period
    while since >= length:
        index, since, length = index + 1, since - length, length * mult
    return index, since / length


def first_period(iterations: int, cycles: int, mult: float) -> float:
    """How long the first cycle is where that many fill the training.

    iterations / (1 + mult + ... + mult ^ (cycles - 1)), with mult 2 iterations / (2 ^ cycles - 1)

    >>> first_period(70, 3, 2.0), first_period(70, 7, 1.0)
    (10.0, 10.0)
    """
    return iterations / sum(mult**index for index in range(cycles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A row of the table of policies."""

    name: str
    rate: Callable[[int, Schedule], float]
    needs: tuple[str, ...] = ()
    """Parameters without which it means nothing."""
    defaults: Mapping[str, float] = field(default_factory=dict)
    """Values of gamma and power where neither call nor template give one; otherwise 1."""


POLICIES = Registry(
    [
        Policy(name="fixed", rate=fixed),
        Policy(name="step", rate=step, needs=("stepsize",), defaults={"gamma": 0.1}),
        Policy(name="exp", rate=exp, needs=("gamma",)),
        Policy(name="inv", rate=inv, defaults={"gamma": 1e-4, "power": 0.75}),
        Policy(name="multistep", rate=multistep, needs=("stepvalue",), defaults={"gamma": 0.1}),
        Policy(name="poly", rate=poly),
        Policy(name="sigmoid", rate=sigmoid, needs=("gamma", "stepsize")),
        Policy(name="sgdr", rate=sgdr),
    ],
    missing=lambda message: BadParameter(f"parameters.mllib.solver.lr_policy: {message}"),
)
