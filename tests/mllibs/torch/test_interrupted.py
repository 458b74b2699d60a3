"""Trainings of networks that die and go on: they end as if they had not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dd_ray.attempts import Attempt, close_job, open_job
from dd_ray.data import Dataset
from dd_ray.mllibs.torch.mllib import Torch
from dd_ray.mllibs.torch.params import TorchParams
from tests.mllibs.fake_run import Died, FakeRun
from tests.mllibs.torch.examples import Images, blobs, dataset, image_dataset, params
from tests.mllibs.torch.test_traced import put_traced

TESTED = dataset(blobs(), blobs(30, seed=5), blobs(9, seed=6))


def train(
    path: Path, number: int, given: TorchParams, data: Dataset, *, key: str = "k", **run: Any
) -> tuple[Any, FakeRun]:
    path.mkdir(exist_ok=True)
    open_job(str(path), key)
    attempt = Attempt(str(path), key, number)
    fake = FakeRun(*(["eucll"] if given.regression else ["acc", "f1"]), attempt=attempt, **run)
    torch.rand(number)  # whatever else the process draws
    return Torch.train(data, attempt.repository, given, fake), fake


def broken(
    path: Path, given: TorchParams, data: Dataset, *deaths: int, every: int
) -> tuple[Any, FakeRun]:
    """The last of several attempts, of which each but it dies after some iterations."""
    for number, after in enumerate(deaths, start=1):
        with pytest.raises(Died):
            train(path, number, given, data, die_after=after, every=every)
    return train(path, len(deaths) + 1, given, data, every=every)


def files(path: Path) -> dict[str, Any]:
    """What a training leaves: weights and states as tensors, texts as they are."""
    found = {}
    for file in path.iterdir():
        if file.suffix in (".npt", ".ptw") or file.name.startswith("solver-"):
            found[file.name] = torch.load(file, weights_only=True)
        elif file.is_file() and file.suffix != ".pt" and not file.name.startswith("."):
            found[file.name] = file.read_text()
    return found


def assert_same(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)
    elif isinstance(first, float):
        assert first == pytest.approx(second, rel=1e-5)
    else:
        assert first == second


@pytest.mark.parametrize(
    ("solver", "deaths"),
    [("SGD", (0,)), ("ADAM", (2,)), ("RMSPROP", (7,)), ("RANGER_PLUS", (13, 0, 9))],
)
def test_it_ends_as_if_it_had_not_died(
    tmp_path: Path, solver: str, deaths: tuple[int, ...]
) -> None:
    """With dropout, several test sets, snapshots and best models."""
    given = params(
        dropout=0.3,
        solver={
            "iterations": 24,
            "solver_type": solver,
            "base_lr": 0.01,
            "test_interval": 2,
            "snapshot": 9,
            "iter_size": 2,
        },
    )
    whole, unbroken = train(tmp_path / "whole", 1, given, TESTED)
    parts, last = broken(tmp_path / "parts", given, TESTED, *deaths, every=5)
    assert_same(files(tmp_path / "whole"), files(tmp_path / "parts"))
    assert_same(whole.measures, parts.measures)
    assert whole.model == parts.model
    assert_same(last.losses, unbroken.losses[last.start :])
    assert last.tests == [test for test in unbroken.tests if test >= last.start]


def test_the_random_weights_are_those_of_the_first_attempt(tmp_path: Path) -> None:
    """Without a seed it starts anew from where it started: that is kept first of all."""
    given = params(seed=-1, solver={"iterations": 3})
    with pytest.raises(Died):
        train(tmp_path, 1, given, dataset(blobs()), die_after=0, every=99)
    started = torch.load(tmp_path / ".job-k" / "at-0" / "checkpoint-0.npt", weights_only=True)
    with pytest.raises(Died):
        train(tmp_path, 2, given, dataset(blobs()), die_after=2, every=99)
    assert_same(
        started,
        torch.load(tmp_path / ".job-k" / "at-0" / "checkpoint-0.npt", weights_only=True),
    )
    _, run = train(tmp_path, 3, given, dataset(blobs()), every=99)
    assert run.start == 0
    assert set(files(tmp_path)) == {"checkpoint-3.npt", "solver-3.pt", "network.json"}


def test_a_best_model_of_the_checkpoint_is_there_until_the_next(tmp_path: Path) -> None:
    """The dead attempt found a better one after its last checkpoint, and wrote that it had."""
    given = params(
        nclasses=0,
        regression=True,
        ntargets=1,
        solver={"iterations": 12, "test_interval": 1, "base_lr": 0.001},
    )
    with pytest.raises(Died):
        train(tmp_path / "parts", 1, given, TESTED, die_after=10, every=4)
    assert "iteration:10\n" in (tmp_path / "parts" / "best_model.txt").read_text()
    kept = {name for name in files(tmp_path / "parts") if name.endswith(".npt")}
    assert kept == {"checkpoint-8.npt", "checkpoint-10.npt"}
    train(tmp_path / "whole", 1, given, TESTED)
    _, run = train(tmp_path / "parts", 2, given, TESTED, every=4)
    assert run.start == 8
    assert_same(files(tmp_path / "whole"), files(tmp_path / "parts"))


def test_a_call_that_resumes_a_training_dies_and_begins_again_there(tmp_path: Path) -> None:
    first = params(solver={"iterations": 10, "snapshot": 5})
    second = params(resume=True, solver={"iterations": 20, "snapshot": 5})
    for name in ("whole", "parts"):
        train(tmp_path / name, 1, first, dataset(blobs()), key="first")
        close_job(str(tmp_path / name), "first")
    _, unbroken = train(tmp_path / "whole", 1, second, dataset(blobs()))
    _, last = broken(tmp_path / "parts", second, dataset(blobs()), 3, every=99)
    assert (unbroken.start, last.start) == (10, 10)
    assert_same(files(tmp_path / "whole"), files(tmp_path / "parts"))


def test_images_and_their_augmentation(tmp_path: Path) -> None:
    data = image_dataset(Images(), Images(count=10, seed=3))
    given = TorchParams.merge(
        {
            "template": "lenet",
            "nclasses": 2,
            "seed": 0,
            "mirror": True,
            "net": {"batch_size": 6},
            "solver": {"iterations": 4, "base_lr": 0.01, "solver_type": "SGD"},
        }
    )
    whole, unbroken = train(tmp_path / "whole", 1, given, data)
    parts, last = broken(tmp_path / "parts", given, data, 3, every=2)
    assert_same(last.losses, unbroken.losses[2:])
    assert_same(whole.measures, parts.measures)


def test_a_traced_network_and_its_new_head(tmp_path: Path) -> None:
    given = TorchParams.merge(
        {
            "nclasses": 3,
            "seed": 0,
            "finetuning": True,
            "freeze_traced": True,
            "net": {"batch_size": 15},
            "solver": {"iterations": 8, "snapshot": 3, "base_lr": 0.01},
        }
    )
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        put_traced(tmp_path / name)
    whole, unbroken = train(tmp_path / "whole", 1, given, dataset(blobs()))
    parts, last = broken(tmp_path / "parts", given, dataset(blobs()), 5, 1, every=2)
    assert_same(last.losses, unbroken.losses[last.start :])
    assert_same(files(tmp_path / "whole"), files(tmp_path / "parts"))
    assert whole.model == parts.model == "checkpoint-8.pt"
