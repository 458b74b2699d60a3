"""Whether a service that is created would have room for its model in memory."""

from __future__ import annotations

from dd_ray.errors import Unavailable
from dd_ray.repository import Repository
from dd_ray.services.definition import ServiceDefinition


def memory_needed(definition: ServiceDefinition, repository: Repository, *, factor: float) -> float:
    """Bytes that the service is thought to need: the largest file it may load, so many times.

    An estimate of what is loaded and of what a prediction takes on top; a service that is still to
    be trained needs nothing yet.
    """
    weights = str(getattr(definition.effective({}).mllib, "weights", ""))
    return factor * repository.model_bytes(definition.mllib_spec.model_suffixes, weights)


def check_memory(needed: float, free: float) -> None:
    """Raises Unavailable, saying how much is needed and how much is free.

    >>> check_memory(2.5 * 2**30, 2**30)
    Traceback (most recent call last):
    dd_ray.errors.Unavailable: the model needs about 2.50 GiB of memory, 1.00 GiB are free...
    """
    if needed > free:
        raise Unavailable(
            f"the model needs about {_gib(needed)} of memory, {_gib(free)} are free: delete other"
            " services, or see DD_RAY_MEMORY_FACTOR"
        )


def _gib(amount: float) -> str:
    return f"{amount / 2**30:.2f} GiB"
