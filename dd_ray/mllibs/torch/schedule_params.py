"""What `parameters.mllib.solver` says about the learning rate. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.net_params import lower
from dd_ray.mllibs.torch.schedule import POLICIES, Schedule, first_period
from dd_ray.mllibs.torch.solver_types import SOLVER_TYPES
from dd_ray.params import Int, Params


class ScheduleFields(Params):
    """The parameters of the learning rate."""

    where: ClassVar[str] = "parameters.mllib.solver"

    base_lr: float | None = Field(
        None,
        ge=0,
        description="Initial learning rate; default the template's, unless solver_type takes"
        " steps of another size, else "
        + ", ".join(f"{spec.base_lr} ({spec.name})" for spec in SOLVER_TYPES),
    )
    lr_policy: Annotated[str, BeforeValidator(lower, json_schema_input_type=str)] = Field(
        "fixed",
        description=f"Learning rate policy, from {', '.join(POLICIES.names())}; sgdr is cosine"
        " with warm restarts",
    )
    gamma: float | None = Field(
        None,
        description="Learning rate drop factor; default 0.1 (step, multistep), 0.0001 (inv);"
        " exp and sigmoid need it",
    )
    power: float | None = Field(
        None, description="Power of the policies poly (default 1) and inv (default 0.75)"
    )
    stepsize: Int | None = Field(
        None, ge=1, description="Iterations between drops (step); the middle of the curve (sigmoid)"
    )
    stepvalue: list[Int] | None = Field(
        None, min_length=1, description="Iterations at which the rate drops (multistep)"
    )
    period: Int = Field(
        -1, ge=-1, description="Iterations of the first cycle of sgdr; -1 is the whole training"
    )
    ncycles: Int | None = Field(
        None, ge=1, le=100, description="Cycles of sgdr that fill the training; instead of period"
    )
    p_mult: float = Field(2.0, ge=1, le=100, description="Growth of the period with each restart")
    lr_mult: float = Field(0.8, ge=0, description="Factor of the peak rate with each restart")
    min_lr: float = Field(1e-6, ge=0, description="Lowest learning rate of sgdr")
    warmup_lr: float = Field(
        0.0, ge=0, description="Warmup starting learning rate, goes linearly to base_lr"
    )
    warmup_iter: Int = Field(0, ge=0, description="Number of warmup iterations")

    def schedule(self, *, iterations: int, base_lr: float) -> Schedule:
        """The schedule of a training, `base_lr` where none is given; raises BadParameter."""
        policy = POLICIES.find(self.lr_policy)
        for name in policy.needs:
            if getattr(self, name) is None:
                raise BadParameter(
                    f"{self.where}.{name} is missing, lr_policy {policy.name} needs it"
                )
        gamma = policy.defaults.get("gamma", 1.0) if self.gamma is None else self.gamma
        if gamma < 0 and policy.name != "sigmoid":
            raise BadParameter(f"{self.where}.gamma: {gamma}, expected 0 or more")
        if self.ncycles is not None:
            period = first_period(iterations, self.ncycles, self.p_mult)
        else:
            period = float(self.period if self.period > 0 else iterations)
        return Schedule(
            policy=policy.name,
            base_lr=base_lr if self.base_lr is None else self.base_lr,
            iterations=iterations,
            gamma=gamma,
            power=policy.defaults.get("power", 1.0) if self.power is None else self.power,
            stepsize=self.stepsize or 1,
            stepvalue=tuple(self.stepvalue or ()),
            period=period,
            p_mult=self.p_mult,
            lr_mult=self.lr_mult,
            min_lr=self.min_lr,
            warmup_lr=self.warmup_lr,
            warmup_iter=self.warmup_iter,
        )
