"""Fixing what a call leaves to chance, so that every attempt at its training draws the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dd_ray.errors import ApiError
from dd_ray.services.definition import ServiceDefinition


def with_seeds(
    definition: ServiceDefinition, call: Mapping[str, Any], *, draw: Callable[[], int]
) -> Mapping[str, Any]:
    """The call with a seed where it, or the service, says -1 for a random one.

    A call whose parameters are wrong stays as it is: its training says what is wrong.
    """
    parameters = call.get("parameters")
    try:
        effective = definition.effective(parameters)
    except ApiError:
        return call
    given = parameters if isinstance(parameters, Mapping) else {}
    fixed = {}
    for part, typed in (("input", effective.input), ("mllib", effective.mllib)):
        seed = getattr(typed, "seed", 0)  # not every connector and mllib draws anything
        if seed < 0:
            before = given.get(part)
            fixed[part] = dict(before if isinstance(before, Mapping) else {}) | {"seed": draw()}
    return dict(call) | {"parameters": dict(given) | fixed} if fixed else call
