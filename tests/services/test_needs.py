"""What parameters ask of a cluster, whatever it has."""

from __future__ import annotations

from typing import Any

import pytest

from dd_ray.errors import BadParameter
from dd_ray.mllibs.spec import MLLibParams
from dd_ray.mllibs.table import MLLIBS
from dd_ray.services.needs import replica_bounds, service_needs, shares, training_needs
from dd_ray.services.placement import Needs
from dd_ray.settings import Settings

SETTINGS = Settings.from_env({})
ON_CPU = Needs(resources={"CPU": 1.0})


def asked(mllib: str, **given: Any) -> MLLibParams:
    return MLLIBS.find(mllib).params.merge(given)


def training(gpus: int, mllib: str = "torch", **given: Any) -> Needs:
    return training_needs(asked(mllib, **given), SETTINGS, gpus=gpus)


def service(gpus: int, mllib: str = "torch", **given: Any) -> Needs:
    return service_needs(asked(mllib, **given), SETTINGS, gpus=gpus)


@pytest.mark.parametrize("mllib", MLLIBS.names())
def test_gpus_become_workers(mllib: str) -> None:
    assert training(4, mllib) == ON_CPU
    one = {"CPU": 1.0, "GPU": 0.5}
    assert training(4, mllib, gpu=True) == Needs(resources=one)
    assert training(4, mllib, gpu=True, gpuid=2) == Needs(resources=one)
    several = {"CPU": 1.0, "GPU": 0.51}
    assert training(4, mllib, gpu=True, gpuid=[0, 2]) == Needs(resources=several, count=2)
    assert training(4, mllib, gpu=True, gpuid=-1) == Needs(resources=several, count=4)


@pytest.mark.parametrize("gpuid", [0, -1, [0, 1, 2]])
def test_without_gpus_a_training_is_on_the_cpu(gpuid: int | list[int]) -> None:
    assert training(0, gpu=True, gpuid=gpuid) == ON_CPU
    assert service(0, gpu=True, gpuid=gpuid) == Needs(resources={})


def test_workers_are_asked_for_without_gpus_too() -> None:
    assert training(0, workers=3) == Needs(resources={"CPU": 1.0}, count=3)
    assert training(8, gpu=True, gpuid=[0, 1], workers=3).count == 3


def test_a_service_has_a_share_of_a_gpu() -> None:
    assert service(1, gpu=True) == Needs(resources={"GPU": SETTINGS.service_gpus})
    quarter = service(1, gpu=True, resources={"num_gpus": 0.25}, replicas=4)
    assert quarter == Needs(resources={"GPU": 0.25}, count=4)


def test_who_names_an_amount_of_gpus_insists() -> None:
    assert service(0, resources={"num_gpus": 2}) == Needs(resources={"GPU": 2.0})
    assert asked("torch", resources={"num_gpus": 2}).gpus == 1
    assert asked("xgboost", resources={"num_gpus": 0}).gpus == 0


def test_all_of_a_node_can_be_asked_for() -> None:
    given = {
        "num_cpus": 2,
        "memory": 2**30,
        "accelerator_type": "T4",
        "labels": {"zone": "a"},
    }
    resources = {"CPU": 2.0, "memory": 2.0**30, "accelerator_type:T4": 0.001}
    expected = Needs(resources=resources, labels={"zone": "a"})
    assert training(0, resources=given) == expected
    assert service(0, "xgboost", resources=given) == expected


@pytest.mark.parametrize(
    ("given", "bounds"), [({}, (1, 1)), (3, (3, 3)), ({"min": 2, "max": 5}, (2, 5))]
)
def test_replicas_are_a_number_or_bounds(given: Any, bounds: tuple[int, int]) -> None:
    params = asked("torch", **({"replicas": given} if given else {}))
    assert replica_bounds(params) == bounds
    assert service_needs(params, SETTINGS, gpus=0).count == bounds[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resources": {"num_gpus": 1.5}}, "num_gpus: 1.5, expected a whole number above 1"),
        ({"resources": {"labels": {"zone": "!b"}}}, "resources.labels.zone"),
        ({"resources": {"memory": 0}}, "resources.memory"),
        ({"resources": {"accelerator_type": "a b"}}, "resources.accelerator_type"),
        ({"replicas": {"min": 3, "max": 2}}, "max: 2, expected at least min, 3"),
        ({"replicas": 0}, "parameters.mllib.replicas"),
        ({"workers": 0}, "parameters.mllib.workers"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameter, match=r"parameters\.mllib") as refused:
        asked("torch", **given)
    assert said in str(refused.value)


def test_who_shares_a_process() -> None:
    willing = SETTINGS.model_copy(update={"shared": True})
    assert shares(asked("xgboost"), SETTINGS) is False
    assert shares(asked("xgboost", shared=True), SETTINGS) is True
    assert shares(asked("xgboost"), willing) is True
    assert shares(asked("xgboost", shared=False), willing) is False


@pytest.mark.parametrize(
    "given", [{"replicas": 2}, {"replicas": {"min": 1, "max": 2}}, {"resources": {"num_cpus": 1}}]
)
def test_what_needs_a_process_of_its_own_shares_none(given: dict[str, Any]) -> None:
    assert shares(asked("torch", **given), SETTINGS.model_copy(update={"shared": True})) is False
    with pytest.raises(BadParameter, match=r"parameters\.mllib\.shared: expected false"):
        shares(asked("torch", shared=True, **given), SETTINGS)
