"""Networks trained by several workers: as one would with all of their batches."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from dd_ray.attempts import Attempt, open_job
from dd_ray.data import Dataset
from dd_ray.errors import LibraryError, Superseded
from dd_ray.mllibs.team import Team
from dd_ray.mllibs.torch.mllib import Torch
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.torch.together import Together
from dd_ray.services.follower import Follower
from tests.mllibs.fake_run import FakeRun
from tests.mllibs.teams import together
from tests.mllibs.torch.examples import Images, blobs, dataset, image_dataset, params
from tests.mllibs.torch.test_interrupted import assert_same, files
from tests.mllibs.torch.test_traced import put_traced

DATA = dataset(blobs(), blobs(31, seed=5), blobs(7, seed=6))
SOLVER = {"iterations": 12, "test_interval": 4, "snapshot": 5, "base_lr": 0.02}


def given(batch: int, *, solver: dict[str, Any] | None = None, **over: Any) -> TorchParams:
    net = {"batch_size": batch, "test_batch_size": 4}
    return params(**({"net": net, "solver": SOLVER | (solver or {})} | over))


def work(path: Path, data: Dataset, asked: TorchParams, run: dict[str, Any], team: Team) -> Any:
    """One worker of an attempt; what the leader reports."""
    attempt, found, leader = None, None, None
    if team.leads:
        open_job(str(path), "k")
        attempt = Attempt(str(path), "k", run.get("number", 1))
        leader = FakeRun(
            "acc", "f1", attempt=attempt, team=team, every=3, stop_after=run.get("stop_after")
        )
        found = leader.interrupted
    if team.alone:
        assert attempt is not None
        assert leader is not None
        return Torch.train(data, attempt.repository, asked, leader), leader.losses
    attempt, found = team.share((attempt, found))
    store = f"file://{path}/.store-{attempt.number}"
    distributed.init_process_group("gloo", store, rank=team.rank, world_size=team.size)
    try:
        if leader is not None:
            return Torch.train(data, attempt.repository, asked, leader), leader.losses
        Torch.train(data, attempt.readable, asked, Follower(team, found))
        return torch.rand(2).tolist()
    finally:
        distributed.destroy_process_group()


def trained(path: Path, data: Dataset, asked: TorchParams, *, size: int, **run: Any) -> list[Any]:
    """What each worker returns."""
    path.mkdir(exist_ok=True)
    if size == 1:
        return [work(path, data, asked, run, Team())]
    return together(size, partial(work, path, data, asked, run))


def assert_as_one(tmp_path: Path, data: Dataset, size: int, batch: int, **over: Any) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    ((report, losses),) = trained(one, data, given(batch * size, **over), size=1)
    (reports, all_losses), *_ = trained(several, data, given(batch, **over), size=size)
    assert all_losses == pytest.approx(losses, rel=1e-4, abs=1e-6)
    assert_same(reports.measures, report.measures)
    assert reports.model == report.model
    assert_same(files(several), files(one))


@pytest.mark.parametrize("size", [2, 3])
def test_workers_are_one_with_all_their_batches(tmp_path: Path, size: int) -> None:
    """With several test sets, snapshots and best models."""
    assert_as_one(tmp_path, DATA, size, 12 // size)


@pytest.mark.parametrize(
    "solver",
    [
        {"iter_size": 3},
        {"solver_type": "RANGER_PLUS", "lr_dropout": 0.5},
        {"solver_type": "SGD", "clip": True, "clip_norm": 0.1},
    ],
)
def test_so_they_are_with_every_solver(tmp_path: Path, solver: dict[str, Any]) -> None:
    assert_as_one(tmp_path, DATA, 2, 5, solver=solver)


def test_each_image_is_augmented_as_by_one(tmp_path: Path) -> None:
    data = image_dataset(Images(count=10, size=18), Images(count=3, size=18, seed=2))
    over = {"template": "lenet", "nclasses": 2, "mirror": True, "crop_size": 16, "layers": None}
    assert_as_one(tmp_path, data, 2, 3, solver={"iterations": 4, "solver_type": "SGD"}, **over)


def test_more_workers_than_test_examples_test_them_all(tmp_path: Path) -> None:
    assert_as_one(tmp_path, dataset(blobs(), blobs(2, seed=5)), 3, 4)


def test_a_script_is_trained_by_several(tmp_path: Path) -> None:
    for name in ("one", "several"):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        put_traced(tmp_path / name)
    over = {"template": "", "finetuning": True}
    one, several = tmp_path / "one", tmp_path / "several"
    ((_, losses),) = trained(one, DATA, given(10, **over), size=1)
    (_, all_losses), _ = trained(several, DATA, given(5, **over), size=2)
    assert all_losses == pytest.approx(losses, rel=1e-4)


def test_what_is_dropped_out_differs_between_workers(tmp_path: Path) -> None:
    """Their generators, which the masks are drawn from."""
    _, second, third = trained(tmp_path, DATA, given(4, dropout=0.5), size=3)
    assert second != third


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_workers_goes_on(tmp_path: Path, before: int, after: int) -> None:
    """From the checkpoint of an attempt that ended early, at the learning rate of its place."""
    solver = {"snapshot": 0, "test_interval": 6}
    (_, first), *_ = trained(tmp_path, DATA, given(6, solver=solver), size=before, stop_after=7)
    (report, losses), *_ = trained(tmp_path, DATA, given(6, solver=solver), size=after, number=2)
    assert len(first) == 7
    assert len(losses) == 12 - 7
    assert losses[-1] < first[0] / 2
    assert report.measures[0]["iteration"] == 11.0


def test_all_stop_when_the_leader_is_told_to(tmp_path: Path) -> None:
    (_, losses), _ = trained(tmp_path, DATA, given(4), size=2, stop_after=6)
    assert len(losses) == 6
    assert (tmp_path / "checkpoint-6.npt").is_file()


def test_a_loss_that_is_no_number_fails_on_all(tmp_path: Path) -> None:
    diverging = given(4, solver={"solver_type": "SGD", "base_lr": 1e30})

    def failing(team: Team) -> str:
        try:
            work(tmp_path, DATA, diverging, {}, team)
        except LibraryError as exc:
            return exc.message
        return "none"

    first, second = together(2, failing)
    assert first == second
    assert "lower solver.base_lr" in first


def test_running_statistics_are_the_leaders(tmp_path: Path) -> None:
    """Each worker tests its part of the examples with the network that the leader saves."""

    def statistics(team: Team) -> list[float]:
        torch.set_num_threads(1)
        store = f"file://{tmp_path}/.store"
        distributed.init_process_group("gloo", store, rank=team.rank, world_size=team.size)
        network = torch.nn.BatchNorm1d(1)
        both = Together(team, network, torch.device("cpu"))
        network(torch.tensor([[1.0], [3.0 + team.rank]]))
        before = network.running_mean.item()
        both.level()
        return [before, network.running_mean.item()]

    (leaders, first), (others, second) = together(2, statistics)
    assert others != leaders
    assert first == second == leaders


def test_a_worker_that_does_not_lead_cannot_write(tmp_path: Path) -> None:
    open_job(str(tmp_path), "k")
    repository = Attempt(str(tmp_path), "k", 1).readable
    for change in (
        lambda: repository.write("a", b""),
        lambda: repository.stage("a", b""),
        lambda: repository.drop("a"),
    ):
        with pytest.raises(Superseded):
            change()
