"""`parameters.mllib.solver`, and what a training makes of it. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.schedule import POLICIES, Schedule, first_period
from dd_ray.mllibs.torch.schedule_params import ScheduleFields
from dd_ray.mllibs.torch.solver_types import SOLVER_TYPES, Rule, SolverType
from dd_ray.params import Int

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solving:
    """What a solver does, every value decided; see the fields of SolverParams."""

    iterations: int
    snapshot: int
    test_interval: int
    test_initialization: bool
    iter_size: int
    type: SolverType
    schedule: Schedule
    momentum: float
    """Of SGD and its kin; of ADADELTA how slowly its means forget."""
    rms_decay: float
    beta1: float
    beta2: float
    rectified: bool
    adabelief: bool
    gradient_centralization: bool
    clip_value: float
    """0 does not clip; the same in `clip_norm`."""
    clip_norm: float
    weight_decay: float
    wd_period: float
    """The first period of a decoupled weight decay, in iterations."""
    wd_mult: float
    lookahead: bool
    lookahead_steps: int
    lookahead_alpha: float
    lr_dropout: float

    @property
    def kind(self) -> str:
        """What decides of which numbers the state of a solver consists: `ADAM rectified`."""
        options = ("rectified", "adabelief", "lookahead")
        return " ".join([self.type.name, *(name for name in options if getattr(self, name))])


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class SolverParams(ScheduleFields):
    """`parameters.mllib.solver`."""

    iterations: Int | None = Field(
        None, ge=1, description="Number of iterations of the whole training; required to train"
    )
    snapshot: Int = Field(
        0, ge=0, description="Iterations between model snapshots; 0 saves at the end only"
    )
    snapshot_prefix: str = Field("", description="Prefix of snapshot files in the repository")
    solver_type: Annotated[str, BeforeValidator(_upper, json_schema_input_type=str)] = Field(
        "SGD",
        description=f"From {', '.join(SOLVER_TYPES.names())}, in any case. *W decouple weight"
        " decay from the gradient, RANGER is ADAM with rectified and lookahead, RANGER_PLUS is"
        " RANGER with adabelief and gradient_centralization",
    )
    test_interval: Int = Field(
        0, ge=0, description="Iterations between testing phases; 0 tests at the end only"
    )
    test_initialization: bool = Field(
        False, description="Whether to start training by testing the network"
    )
    iter_size: Int = Field(
        1, ge=1, description="Number of passes of batch_size examples in every iteration"
    )
    resume: bool = Field(False, description="Whether to resume training from the solver state")
    rand_skip: Int = Field(
        0, ge=0, description="Accepted; data goes on where a resumed training had come to"
    )

    momentum: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Momentum of SGD, NESTEROV and SGDW; decay of the means of ADADELTA; beta1"
        " where that is not given; default 0.9",
    )
    beta1: float | None = Field(
        None, ge=0, lt=1, description="Decay of the mean of ADAM* and RANGER*; default 0.9"
    )
    beta2: float = Field(
        0.999, ge=0, lt=1, description="Decay of the mean square of ADAM* and RANGER*"
    )
    rms_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the mean square of RMSPROP")
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Weight decay: times the weights added to the gradient; with *W taken from"
        " the weights, as it is, not times the learning rate",
    )
    decoupled_wd_periods: Int = Field(
        4,
        ge=1,
        le=100,
        description="Periods that fill the training in SGDW, ADAMW and AMSGRADW; in each, rate and"
        " weight decay go from full to nothing as a cosine",
    )
    decoupled_wd_mult: float = Field(
        2.0, ge=1, le=100, description="Growth of the period with each restart in SGDW, ..."
    )

    clip: bool | None = Field(
        None, description="Whether to clip gradients; default false, true with RANGER*"
    )
    clip_value: float | None = Field(
        None,
        gt=0,
        description="With clip, the largest absolute value of a gradient; 5.0 where clip_norm is"
        " not given either",
    )
    clip_norm: float | None = Field(
        None,
        gt=0,
        description="With clip, the largest euclidean norm of the gradients; 100.0 where"
        " clip_value is not given either",
    )
    rectified: bool | None = Field(
        None,
        description="Whether the variance of ADAM*, AMSGRAD* and RANGER* is rectified,"
        " arXiv 1908.03265; default true with RANGER*, else false",
    )
    adabelief: bool | None = Field(
        None,
        description="Whether ADAM*, AMSGRAD* and RANGER* adapt to what the mean does not predict,"
        " arXiv 2010.07468; default true with RANGER_PLUS, else false",
    )
    gradient_centralization: bool | None = Field(
        None,
        description="Whether to centralize gradients, arXiv 2004.01461; default true with"
        " RANGER_PLUS, else false",
    )
    lookahead: bool | None = Field(
        None,
        description="Whether to look ahead, arXiv 1907.08610; default true with RANGER*,"
        " else false",
    )
    lookahead_steps: Int = Field(6, ge=1, description="Iterations between two lookaheads")
    lookahead_alpha: float = Field(
        0.5, ge=0, le=1, description="Size of the step towards the weights ahead"
    )
    lr_dropout: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Learning rate dropout, arXiv 1912.00144: the probability that a weight is"
        " updated",
    )

    def check(self) -> None:
        """Raises BadParameter for unknown names; what is missing may come with the training."""
        SOLVER_TYPES.find(self.solver_type)
        POLICIES.find(self.lr_policy)

    def resolved(self, template: Mapping[str, Any]) -> Solving:
        """Decides every value: what a call says, else the template, else the solver type.

        Raises BadParameter for unknown names, and for what is missing.
        """
        given = self._over(template)
        own = SOLVER_TYPES.find(given.solver_type)
        if given.iterations is None:
            raise BadParameter(f"{self.where}.iterations is missing")
        momentum = 0.9 if given.momentum is None else given.momentum
        clip = _or(given.clip, own.clip)
        unsaid = given.clip_value is None and given.clip_norm is None
        return Solving(
            iterations=given.iterations,
            snapshot=given.snapshot,
            test_interval=given.test_interval,
            test_initialization=given.test_initialization,
            iter_size=given.iter_size,
            type=own,
            schedule=given.schedule(iterations=given.iterations, base_lr=own.base_lr),
            momentum=momentum,
            rms_decay=given.rms_decay,
            beta1=momentum if given.beta1 is None else given.beta1,
            beta2=given.beta2,
            rectified=given._of_adam("rectified", own),
            adabelief=given._of_adam("adabelief", own),
            gradient_centralization=_or(given.gradient_centralization, own.gradient_centralization),
            clip_value=(5.0 if unsaid else given.clip_value or 0.0) if clip else 0.0,
            clip_norm=(100.0 if unsaid else given.clip_norm or 0.0) if clip else 0.0,
            weight_decay=given.weight_decay,
            wd_period=first_period(
                given.iterations, given.decoupled_wd_periods, given.decoupled_wd_mult
            ),
            wd_mult=given.decoupled_wd_mult,
            lookahead=_or(given.lookahead, own.lookahead),
            lookahead_steps=given.lookahead_steps,
            lookahead_alpha=given.lookahead_alpha,
            lr_dropout=given.lr_dropout,
        )

    def _over(self, template: Mapping[str, Any]) -> SolverParams:
        """These on top of a template's, whose rate is good for solver types like its own."""
        below = SolverParams.merge(template)
        given = SolverParams.merge(template, self.model_dump(exclude_unset=True))
        usual, own = SOLVER_TYPES.find(below.solver_type), SOLVER_TYPES.find(given.solver_type)
        if self.base_lr is None and usual.base_lr != own.base_lr:
            return given.model_copy(update={"base_lr": None})
        return given

    def _of_adam(self, name: str, own: SolverType) -> bool:
        """An option that only means something in ADAM and its kin."""
        if own.rule is Rule.ADAM:
            return _or(getattr(self, name), getattr(own, name))
        if getattr(self, name):
            logger.info("%s.%s has no effect with %s", self.where, name, own.name)
        return False


def _or(said: bool | None, default: bool) -> bool:
    return default if said is None else said
