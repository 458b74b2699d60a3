"""`parameters.mllib.resources` and `replicas`: where the processes of a service or training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from dd_ray.params import Int, Params

_LABEL = r"^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
_LABEL_NAME = r"^([-.A-Za-z0-9]{1,253}/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"

Label = Annotated[str, StringConstraints(pattern=_LABEL)]
LabelName = Annotated[str, StringConstraints(pattern=_LABEL_NAME)]


class ResourceParams(Params):
    """`parameters.mllib.resources`: extension. Each replica or worker gets as much."""

    where: ClassVar[str] = "parameters.mllib.resources"

    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs reserved on its node; default DD_RAY_SERVICE_CPUS, DD_RAY_JOB_CPUS",
    )
    num_gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs reserved on its node, a fraction of one or a whole number; default with"
        " gpu: true DD_RAY_SERVICE_GPUS, DD_RAY_JOB_GPUS. Unlike gpu, it insists on having them",
    )
    memory: Int | None = Field(None, gt=0, description="Bytes of memory reserved on its node")
    accelerator_type: str = Field(
        "",
        pattern=r"^[-_.A-Za-z0-9]{0,64}$",
        description="Type of accelerator that its node must have, as T4 or A100, under Ray's names",
    )
    labels: Mapping[LabelName, Label] = Field(
        default_factory=dict, description='Labels that its node must have, as {"zone":"a"}'
    )

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        if self.num_gpus is not None and self.num_gpus > 1 and self.num_gpus % 1:
            raise ValueError(f"num_gpus: {self.num_gpus:g}, expected a whole number above 1")
        return self


class ReplicaParams(Params):
    """`parameters.mllib.replicas`, as bounds between which their number follows the load."""

    where: ClassVar[str] = "parameters.mllib.replicas"

    min: Int = Field(1, ge=1, description="Fewest replicas")
    max: Int = Field(1, ge=1, le=1000, description="Most replicas")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max: {self.max}, expected at least min, {self.min}")
        return self
