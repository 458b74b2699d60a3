"""What the processes of a service and of a training need, out of their parameters."""

from __future__ import annotations

from dd_ray.errors import BadParameter
from dd_ray.mllibs.resource_params import ResourceParams
from dd_ray.mllibs.spec import MLLibParams
from dd_ray.services.placement import ACCELERATOR, Needs
from dd_ray.settings import Settings

_ANY = 0.001
"""How much of a type of accelerator Ray asks for where any will do."""

_OWN = 0.51
"""Share of a GPU that no other worker of the same training can have on it too."""


def service_needs(mllib: MLLibParams, settings: Settings, *, gpus: int) -> Needs:
    """What a service needs on a cluster of so many GPUs: its fewest replicas, a share of one each.

    Without a GPU it computes on the CPU, because public clients ask for one whatever there is;
    who insists says `resources.num_gpus`.
    """
    share = settings.service_gpus if mllib.gpus and gpus else 0.0
    fewest, _ = replica_bounds(mllib)
    return _needs(mllib.resources, settings.service_cpus, share, count=fewest)


def training_needs(mllib: MLLibParams, settings: Settings, *, gpus: int) -> Needs:
    """What a training needs on a cluster of so many GPUs; its `count` is that of its workers.

    A list in `gpuid` is a worker for each, -1 one for each that there is. Workers of one training
    never have the same GPU: the same work would take as long.
    """
    on_gpu = bool(mllib.gpus and gpus)
    asked = gpus if mllib.gpus < 0 else mllib.gpus
    count = max(mllib.workers, asked if on_gpu else 1)
    share = settings.job_gpus if on_gpu else 0.0
    if count > 1 and on_gpu:
        share = max(share, _OWN)
    return _needs(mllib.resources, settings.job_cpus, share, count=count)


def replica_bounds(mllib: MLLibParams) -> tuple[int, int]:
    """Fewest and most replicas of a service."""
    given = mllib.replicas
    return (given, given) if isinstance(given, int) else (given.min, given.max)


def shares(mllib: MLLibParams, settings: Settings) -> bool:
    """Whether a service shares a process; raises BadParameter when it must have its own."""
    alone = mllib.replicas != 1 or mllib.resources != ResourceParams.model_validate({})
    if mllib.shared and alone:
        raise BadParameter(
            "parameters.mllib.shared: expected false with replicas or resources, which are those of"
            " a process of its own"
        )
    return not alone and (settings.shared if mllib.shared is None else mllib.shared)


def _needs(asked: ResourceParams, cpus: float, gpus: float, *, count: int) -> Needs:
    resources = {
        "CPU": cpus if asked.num_cpus is None else asked.num_cpus,
        "GPU": gpus if asked.num_gpus is None else asked.num_gpus,
        "memory": float(asked.memory or 0),
    }
    if asked.accelerator_type:
        resources[f"{ACCELERATOR}{asked.accelerator_type}"] = _ANY
    return Needs(
        resources={name: amount for name, amount in resources.items() if amount},
        labels=dict(asked.labels),
        count=count,
    )
