"""Whether there is room for a service's model."""

from __future__ import annotations

from pathlib import Path

import pytest

from dd_ray.errors import Unavailable
from dd_ray.repository import Repository
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.memory import check_memory, memory_needed
from tests.conftest import SetSettings

MIB = 2**20


def definition(repository: Path, **mllib: object) -> ServiceDefinition:
    return ServiceDefinition(
        name="s",
        mllib="xgboost",
        connector="csv",
        type="supervised",
        description="d",
        repository=str(repository),
        parameters={"input": {"connector": "csv"}, "mllib": {"nclasses": 2, **mllib}},
    )


def needed(path: Path) -> float:
    return memory_needed(definition(path), Repository(path), factor=3.0)


def test_the_largest_model_counts_and_other_files_do_not(tmp_path: Path) -> None:
    assert needed(tmp_path) == 0
    (tmp_path / "data.csv").write_bytes(bytes(9 * MIB))
    assert needed(tmp_path) == 0
    (tmp_path / "1.model").write_bytes(bytes(2 * MIB))
    (tmp_path / "2.model").write_bytes(bytes(MIB))
    assert needed(tmp_path) == 6 * MIB


def test_weights_count_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "pre.trained").write_bytes(bytes(MIB))
    repository = Repository(tmp_path)
    assert repository.model_bytes((".npt",)) == 0
    assert repository.model_bytes((".npt",), "pre.trained") == MIB
    assert repository.model_bytes((".npt",), "missing") == 0


def test_weights_outside_of_the_roots_count_nothing(
    tmp_path: Path, set_settings: SetSettings
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "theirs.npt").write_bytes(bytes(MIB))
    set_settings(roots=tmp_path / "root")
    assert Repository(tmp_path / "root").model_bytes((".npt",), "../theirs.npt") == 0


def test_what_does_not_fit_is_refused_with_the_amounts() -> None:
    check_memory(MIB, MIB)
    with pytest.raises(Unavailable, match=r"about 3\.00 GiB of memory, 2\.50 GiB are free"):
        check_memory(3 * 2**30, 2.5 * 2**30)
