"""What a training makes of `parameters.mllib.solver`."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.solver_params import SolverParams, Solving
from dd_ray.mllibs.torch.solver_types import SOLVER_TYPES, Rule

REFERENCE = """
    iterations snapshot snapshot_prefix solver_type clip clip_value clip_norm rectified adabelief
    gradient_centralization test_interval test_initialization lr_policy base_lr warmup_lr
    warmup_iter gamma stepsize stepvalue momentum period ncycles weight_decay power iter_size
    rand_skip lookahead lookahead_steps lookahead_alpha decoupled_wd_periods decoupled_wd_mult
    lr_dropout beta1 beta2 resume
"""
"""The keys of DeepDetect's solver tables."""


def solving(template: dict[str, Any] | None = None, /, **given: Any) -> Solving:
    return SolverParams.merge({"iterations": 100} | given).resolved(template or {})


def refused(**given: Any) -> str:
    with pytest.raises(BadParameter) as caught:
        solving(**given)
    return caught.value.message


def test_every_key_of_the_reference_is_a_parameter() -> None:
    assert set(REFERENCE.split()) <= set(SolverParams.model_fields)


def test_every_parameter_is_described() -> None:
    assert all(field.description for field in SolverParams.model_fields.values())


def test_defaults_are_those_of_the_reference() -> None:
    found = solving()
    assert found.type.name == "SGD"
    assert (found.iter_size, found.weight_decay, found.beta1, found.beta2) == (1, 0.0, 0.9, 0.999)
    assert (found.lookahead_steps, found.lookahead_alpha, found.lr_dropout) == (6, 0.5, 1.0)
    assert (found.rectified, found.adabelief, found.lookahead) == (False, False, False)
    assert (found.clip_value, found.clip_norm) == (0.0, 0.0)
    assert (found.snapshot, found.test_interval, found.test_initialization) == (0, 0, False)
    assert found.schedule.warmup_iter == 0


def test_training_needs_iterations() -> None:
    with pytest.raises(BadParameter, match=r"^parameters.mllib.solver.iterations is missing$"):
        SolverParams.merge({}).resolved({})


@pytest.mark.parametrize("name", ["adam", "Adam", "ADAM"])
def test_names_are_in_any_case(name: str) -> None:
    assert solving(solver_type=name).type.name == "ADAM"
    assert solving(lr_policy="InV").schedule.policy == "inv"


def test_unknown_names_are_refused_at_creation_with_those_that_there_are() -> None:
    with pytest.raises(BadParameter) as caught:
        SolverParams.merge({"solver_type": "adamx"}).check()
    assert caught.value.message == (
        "parameters.mllib.solver.solver_type: 'ADAMX', expected one of"
        f" {', '.join(SOLVER_TYPES.names())}"
    )
    with pytest.raises(BadParameter, match="lr_policy: 'plateau', expected one of fixed, step, "):
        SolverParams.merge({"lr_policy": "plateau"}).check()


def test_creation_does_not_ask_for_what_the_training_may_say() -> None:
    SolverParams.merge({"lr_policy": "step"}).check()
    assert solving({"stepsize": 5}, lr_policy="step").schedule.stepsize == 5


@pytest.mark.parametrize(
    ("policy", "missing"),
    [("step", "stepsize"), ("multistep", "stepvalue"), ("exp", "gamma"), ("sigmoid", "gamma")],
)
def test_a_policy_says_what_it_needs(policy: str, missing: str) -> None:
    assert refused(lr_policy=policy) == (
        f"parameters.mllib.solver.{missing} is missing, lr_policy {policy} needs it"
    )


@pytest.mark.parametrize(
    ("given", "gamma", "power"),
    [
        ({"lr_policy": "step", "stepsize": 9}, 0.1, 1.0),
        ({"lr_policy": "step", "stepsize": 9, "gamma": 0.5}, 0.5, 1.0),
        ({"lr_policy": "inv"}, 1e-4, 0.75),
        ({"lr_policy": "poly"}, 1.0, 1.0),
        ({"lr_policy": "poly", "power": 2}, 1.0, 2.0),
    ],
    ids=str,
)
def test_gamma_and_power_are_usual_ones_where_not_given(
    given: dict[str, Any], gamma: float, power: float
) -> None:
    found = solving(**given).schedule
    assert (found.gamma, found.power) == (gamma, power)


def test_only_sigmoid_takes_a_negative_gamma() -> None:
    assert solving(lr_policy="sigmoid", gamma=-0.1, stepsize=5).schedule.gamma == -0.1
    assert "gamma: -0.1, expected 0 or more" in refused(lr_policy="inv", gamma=-0.1)


def test_numbers_out_of_bounds_are_refused_by_their_place() -> None:
    assert "parameters.mllib.solver.stepsize" in refused(stepsize=0)
    assert "parameters.mllib.solver.lr_dropout" in refused(lr_dropout=1.5)
    assert "parameters.mllib.solver.stepvalue.1" in refused(stepvalue=[5, "6"])


def test_a_template_lies_below_the_call() -> None:
    template = {"base_lr": 0.1, "momentum": 0.8, "lr_policy": "step", "stepsize": 7, "iter_size": 4}
    found = solving(template, base_lr=0.2, lr_policy="fixed", iter_size=1)
    assert (found.schedule.base_lr, found.schedule.policy, found.iter_size) == (0.2, "fixed", 1)
    assert found.momentum == 0.8
    assert solving(template).schedule.base_lr == 0.1
    assert solving(template).iter_size == 4


def test_the_rate_of_a_template_is_for_solvers_of_its_kind() -> None:
    template = {"base_lr": 0.1, "weight_decay": 1e-4}
    assert solving(template, solver_type="NESTEROV").schedule.base_lr == 0.1
    adam = solving(template, solver_type="ADAM")
    assert (adam.schedule.base_lr, adam.weight_decay) == (1e-3, 1e-4)
    assert solving(template, solver_type="ADAM", base_lr=0.1).schedule.base_lr == 0.1
    own = {"base_lr": 0.05, "solver_type": "RMSPROP"}
    assert solving(own).schedule.base_lr == 0.05
    assert solving(own, solver_type="SGD").schedule.base_lr == 0.01


@pytest.mark.parametrize(
    ("given", "value", "norm"),
    [
        ({}, 0.0, 0.0),
        ({"clip_value": 2.0}, 0.0, 0.0),
        ({"clip": True}, 5.0, 100.0),
        ({"clip": True, "clip_value": 2.0}, 2.0, 0.0),
        ({"clip": True, "clip_norm": 2.0}, 0.0, 2.0),
        ({"clip": True, "clip_norm": 2.0, "clip_value": 3.0}, 3.0, 2.0),
        ({"solver_type": "RANGER"}, 5.0, 100.0),
        ({"solver_type": "RANGER", "clip": False}, 0.0, 0.0),
    ],
    ids=str,
)
def test_clipping(given: dict[str, Any], value: float, norm: float) -> None:
    found = solving(**given)
    assert (found.clip_value, found.clip_norm) == (value, norm)


def test_ranger_is_rectified_adam_with_lookahead_and_plus_the_rest() -> None:
    ranger, plus = solving(solver_type="RANGER"), solving(solver_type="RANGER_PLUS")
    assert ranger.type.rule is plus.type.rule is Rule.ADAM
    assert (ranger.rectified, ranger.lookahead) == (True, True)
    assert (ranger.adabelief, ranger.gradient_centralization) == (False, False)
    assert (plus.rectified, plus.lookahead) == (True, True)
    assert (plus.adabelief, plus.gradient_centralization) == (True, True)


@pytest.mark.parametrize(
    "option", ["rectified", "adabelief", "gradient_centralization", "lookahead"]
)
def test_what_a_type_has_can_be_turned_off_and_on(option: str) -> None:
    assert not getattr(solving(solver_type="RANGER_PLUS", **{option: False}), option)
    assert getattr(solving(solver_type="ADAM", **{option: True}), option)


def test_options_of_adam_are_ignored_elsewhere_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        found = solving(solver_type="SGD", rectified=True)
    assert not found.rectified
    assert "parameters.mllib.solver.rectified has no effect with SGD" in caplog.text


def test_momentum_is_beta1_where_that_is_not_given() -> None:
    assert solving(solver_type="ADAM", momentum=0.5).beta1 == 0.5
    assert solving(solver_type="ADAM", momentum=0.5, beta1=0.7).beta1 == 0.7


def test_cycles_fill_the_training_and_go_before_period() -> None:
    assert solving(lr_policy="sgdr").schedule.period == 100
    assert solving(lr_policy="sgdr", period=20).schedule.period == 20
    assert solving(lr_policy="sgdr", period=20, ncycles=2, p_mult=3.0).schedule.period == 25
    assert solving(iterations=150).wd_period == 10
    assert solving(decoupled_wd_periods=5, decoupled_wd_mult=1.0).wd_period == 20
