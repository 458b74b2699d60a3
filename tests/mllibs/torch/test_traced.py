"""TorchScript models that somebody put into a repository."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dd_ray.errors import BadParameter, LibraryError
from dd_ray.mllibs.torch.files import load_traced
from dd_ray.mllibs.torch.mllib import Torch
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.repository import Repository
from tests.mllibs.torch.examples import blobs, dataset, train


class Model(nn.Module):
    """Four columns to seven features; another method gives their negatives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(x))

    @torch.jit.export
    def negative(self, x: torch.Tensor) -> torch.Tensor:
        return -self.forward(x)


def put_traced(path: Path) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; DeepDetect's users have it
        torch.jit.save(torch.jit.script(Model()), str(path / "mine.pt"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    put_traced(tmp_path)
    return Repository(tmp_path)


def given(**over: object) -> TorchParams:
    return TorchParams.merge({"nclasses": 7, "seed": 0}, over)


def test_it_is_served(repository: Repository) -> None:
    output = Torch.load(repository, given()).predict(blobs(9), given())
    assert output.probs_NC.shape == (9, 7)  # type: ignore[union-attr]
    torch.manual_seed(0)
    expected = Model()(torch.from_numpy(blobs(9).values_NF)).softmax(1).detach().numpy()
    np.testing.assert_allclose(output.probs_NC, expected, rtol=1e-5)  # type: ignore[union-attr]


def test_another_method_and_the_layer_before_the_last(repository: Repository) -> None:
    predictor = Torch.load(repository, given())
    plain = predictor.predict(blobs(9), given(extract_layer="final")).values_NV  # type: ignore[union-attr]
    negative = predictor.predict(blobs(9), given(forward_method="negative")).logits_NC  # type: ignore[union-attr]
    np.testing.assert_allclose(negative, -plain)
    with pytest.raises(BadParameter, match="Method nope not found in traced model"):
        predictor.predict(blobs(9), given(forward_method="nope"))
    with pytest.raises(BadParameter, match="unknown extract layer nope"):
        predictor.predict(blobs(9), given(extract_layer="nope"))


def test_a_finetuning_adds_a_layer(repository: Repository) -> None:
    solver = {"iterations": 60, "solver_type": "ADAM", "base_lr": 0.02}
    three = given(nclasses=3, finetuning=True, freeze_traced=True, solver=solver)
    report, _run = train(repository.path, dataset(blobs(), blobs(30, seed=5)), three)
    assert report.measures[0]["acc"] > 0.9
    assert report.model == "checkpoint-60.pt"
    names = {path.name for path in repository.path.iterdir()}
    assert names >= {"mine.pt", "checkpoint-60.pt", "checkpoint-60.ptw", "solver-60.pt"}
    output = Torch.load(repository, given(nclasses=3)).predict(blobs(30, seed=5), given(nclasses=3))
    hits = output.probs_NC.argmax(axis=1) == np.arange(30) % 3  # type: ignore[union-attr]
    assert hits.mean() == report.measures[0]["acc"]
    frozen = load_traced(repository.path / "checkpoint-60.pt", torch.device("cpu")).layer.weight
    torch.manual_seed(0)
    torch.testing.assert_close(frozen, Model().layer.weight)


def test_a_finetuning_resumes(repository: Repository) -> None:
    solver = {"iterations": 10, "base_lr": 0.1}
    three = given(nclasses=3, finetuning=True, solver=solver)
    train(repository.path, dataset(blobs()), three)
    _, run = train(
        repository.path,
        dataset(blobs()),
        given(nclasses=3, finetuning=True, resume=True, solver={"iterations": 14, "base_lr": 0.1}),
    )
    assert run.iterations == [10, 11, 12, 13]
    assert run.losses[-1] < 1


def test_data_that_it_does_not_take(repository: Repository) -> None:
    with pytest.raises(LibraryError, match="the network failed"):
        Torch.load(repository, given()).predict(blobs_of(6), given())


def blobs_of(columns: int) -> object:
    from tests.mllibs.torch.examples import table

    return table(np.zeros((3, columns)))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"no model")
    with pytest.raises(LibraryError, match="as a TorchScript model"):
        Torch.load(Repository(tmp_path), given())
