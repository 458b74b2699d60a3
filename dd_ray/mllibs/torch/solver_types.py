"""The table of solver types: which rule each follows, and what is on where a call says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dd_ray.errors import BadParameter
from dd_ray.registry import Registry


class Rule(StrEnum):
    """How a gradient becomes an update."""

    SGD = "sgd"
    ADAGRAD = "adagrad"
    RMSPROP = "rmsprop"
    ADADELTA = "adadelta"
    ADAM = "adam"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverType:
    """A row of the table."""

    name: str
    rule: Rule
    base_lr: float
    """Where neither call nor template give one."""
    nesterov: bool = False
    """Whether momentum looks ahead."""
    amsgrad: bool = False
    """Whether the second moment never falls, arXiv 1904.09237."""
    decoupled: bool = False
    """Whether weight decay is apart from the gradient, arXiv 1711.05101."""
    # where a call does not say
    rectified: bool = False
    adabelief: bool = False
    gradient_centralization: bool = False
    lookahead: bool = False
    clip: bool = False


SOLVER_TYPES = Registry(
    [
        SolverType(name="SGD", rule=Rule.SGD, base_lr=0.01),
        SolverType(name="NESTEROV", rule=Rule.SGD, base_lr=0.01, nesterov=True),
        SolverType(name="ADAGRAD", rule=Rule.ADAGRAD, base_lr=0.01),
        SolverType(name="RMSPROP", rule=Rule.RMSPROP, base_lr=1e-3),
        SolverType(name="ADADELTA", rule=Rule.ADADELTA, base_lr=1.0),
        SolverType(name="ADAM", rule=Rule.ADAM, base_lr=1e-3),
        SolverType(name="AMSGRAD", rule=Rule.ADAM, base_lr=1e-3, amsgrad=True),
        SolverType(name="RADAM", rule=Rule.ADAM, base_lr=1e-3, rectified=True),
        SolverType(
            name="RANGER",
            rule=Rule.ADAM,
            base_lr=1e-3,
            rectified=True,
            lookahead=True,
            clip=True,
        ),
        SolverType(
            name="RANGER_PLUS",
            rule=Rule.ADAM,
            base_lr=1e-3,
            rectified=True,
            adabelief=True,
            gradient_centralization=True,
            lookahead=True,
            clip=True,
        ),
        SolverType(name="ADAMW", rule=Rule.ADAM, base_lr=1e-3, decoupled=True),
        SolverType(name="SGDW", rule=Rule.SGD, base_lr=0.01, decoupled=True),
        SolverType(name="AMSGRADW", rule=Rule.ADAM, base_lr=1e-3, amsgrad=True, decoupled=True),
    ],
    missing=lambda message: BadParameter(f"parameters.mllib.solver.solver_type: {message}"),
)
