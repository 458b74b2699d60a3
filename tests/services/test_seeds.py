"""What a call leaves to chance is decided once."""

from __future__ import annotations

from typing import Any

import pytest

from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.seeds import with_seeds


def definition(name: str = "xgboost", **parameters: Any) -> ServiceDefinition:
    return ServiceDefinition(
        name="s",
        mllib=name,
        connector="csv",
        type="supervised",
        description="",
        repository="/r",
        parameters={"input": {"connector": "csv"}, "mllib": {"nclasses": 2}} | parameters,
    )


def draws() -> Any:
    numbers = iter((101, 102))
    return lambda: next(numbers)


@pytest.mark.parametrize("given", [{}, {"shuffle": True}, {"seed": -1}, None, "nonsense"])
def test_a_random_seed_is_drawn(given: Any) -> None:
    call = {"service": "s", "parameters": {"input": given, "output": {"best": 1}}}
    fixed = with_seeds(definition(), call, draw=draws())
    kept = given if isinstance(given, dict) else {}
    assert fixed == {
        "service": "s",
        "parameters": {"input": kept | {"seed": 101}, "output": {"best": 1}},
    }


def test_a_call_without_parameters() -> None:
    fixed = with_seeds(definition(), {"service": "s"}, draw=draws())
    assert fixed["parameters"] == {"input": {"seed": 101}}


def test_given_seeds_stay() -> None:
    call = {"parameters": {"input": {"seed": 7}}}
    assert with_seeds(definition(), call, draw=draws()) is call
    made = definition(input={"connector": "csv", "seed": 7})
    assert with_seeds(made, {"data": []}, draw=draws()) == {"data": []}


def test_a_network_draws_its_weights_too() -> None:
    made = definition("torch", mllib={"nclasses": 2, "template": "mlp"})
    fixed = with_seeds(made, {"parameters": {"mllib": {"nclasses": 3}}}, draw=draws())
    assert fixed["parameters"] == {
        "input": {"seed": 101},
        "mllib": {"nclasses": 3, "seed": 102},
    }


def test_wrong_parameters_are_left_to_the_training() -> None:
    call = {"parameters": {"input": {"test_split": 7}}}
    assert with_seeds(definition(), call, draw=draws()) is call
