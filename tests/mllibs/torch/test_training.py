"""Training networks: what is saved, tested and kept, and going on where it ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dd_ray.errors import BadInput, BadParameter, LibraryError
from dd_ray.mllibs.torch.caffe_params import CaffeParams
from dd_ray.mllibs.torch.mllib import Caffe, Torch
from dd_ray.repository import Repository
from tests.mllibs.fake_run import FakeRun
from tests.mllibs.torch.examples import (
    MLP,
    Images,
    blobs,
    dataset,
    image_dataset,
    params,
    table,
    train,
)


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def test_a_network_learns_and_reports_each_iteration(tmp_path: Path) -> None:
    report, run = train(tmp_path, dataset(blobs(), blobs(30, seed=5)), params())
    assert run.iterations == list(range(40))
    assert run.losses[-1] < 0.2 < run.losses[0]
    assert run.reports[0]["learning_rate"] == 0.02
    (measure,) = report.measures
    assert measure["acc"] > 0.9
    assert measure["iteration"] == 39.0
    assert measure["train_loss"] == run.losses[-1]


def test_the_same_seed_gives_the_same_training(tmp_path: Path) -> None:
    runs = [train(tmp_path / str(i), dataset(blobs()), params(seed=i // 2))[1] for i in range(3)]
    assert runs[0].losses == runs[1].losses
    assert runs[0].losses != runs[2].losses


def test_checkpoints_are_plain_pytorch(tmp_path: Path) -> None:
    train(tmp_path, dataset(blobs()), params())
    assert names(tmp_path) == {"checkpoint-40.npt", "solver-40.pt", "network.json"}
    weights = torch.load(tmp_path / "checkpoint-40.npt", weights_only=True)
    shapes = sorted(tuple(value.shape) for value in weights.values())
    assert shapes == [(3,), (3, 16), (16,), (16, 4)]


def test_snapshots_tests_and_the_best_model(tmp_path: Path) -> None:
    """The best model stays, those that were the best before it go."""
    given = params(solver={"test_interval": 4, "snapshot": 25, "base_lr": 0.005})
    report, run = train(tmp_path, dataset(blobs(), blobs(30, seed=5)), given)
    assert run.tests == [3, 7, 11, 15, 19, 23, 27, 31, 35, 39]
    best = next(
        iteration + 1
        for iteration, output in zip(run.tests, run.outputs, strict=True)
        if acc(output, 30) == max(acc(each, 30) for each in run.outputs)
    )
    assert f"iteration:{best}\nf1:" in (tmp_path / "best_model.txt").read_text()
    kept = {name for name in names(tmp_path) if name.endswith(".npt")}
    assert kept == {f"checkpoint-{n}.npt" for n in (25, 40, best)}
    assert report.model == f"checkpoint-{best}.npt"


def acc(output: object, count: int) -> float:
    probs = output.probs_NC  # type: ignore[attr-defined]
    return float(np.mean(probs.argmax(axis=1) == blobs(count, seed=5).targets_NT[:, 0]))  # type: ignore[index]


def test_each_test_set_has_its_measures_and_its_best_model(tmp_path: Path) -> None:
    report, run = train(tmp_path, dataset(blobs(), blobs(30, seed=5), blobs(9, seed=6)), params())
    assert run.test_sets == [0, 1]
    assert [len(output) for output in run.outputs] == [30, 9]
    assert len(report.measures) == 2
    assert {"best_model.txt", "best_model_test_0.txt", "best_model_test_1.txt"} <= names(tmp_path)
    assert "test_name: set1" in (tmp_path / "best_model_test_1.txt").read_text()


def test_the_initial_network_is_tested_when_asked(tmp_path: Path) -> None:
    given = params(solver={"test_initialization": True, "iterations": 2})
    _, run = train(tmp_path, dataset(blobs(), blobs(30, seed=5)), given)
    assert run.tests == [0, 1]
    assert "train_loss" not in run.values[0]
    assert "train_loss" in run.values[1]


def test_iter_size_is_the_mean_over_passes(tmp_path: Path) -> None:
    """Two passes of 15 examples make the same update as one of 30."""
    one = params(net={"batch_size": 30}, solver={"iterations": 10})
    two = params(net={"batch_size": 15}, solver={"iterations": 10, "iter_size": 2})
    first, second = (
        train(tmp_path / name, dataset(blobs()), given)[1]
        for name, given in (("one", one), ("two", two))
    )
    np.testing.assert_allclose(first.losses, second.losses, rtol=1e-4)


@pytest.mark.parametrize("solver", ["SGD", "ADAM", "RANGER_PLUS", "AMSGRADW"])
def test_a_resumed_training_is_the_unbroken_one(tmp_path: Path, solver: str) -> None:
    """With dropout, so that random generators count too."""
    given = {"dropout": 0.3, "seed": 4}
    full = params(**given, solver={"iterations": 30, "solver_type": solver, "base_lr": 0.01})
    _, unbroken = train(tmp_path / "whole", dataset(blobs()), full)
    _, first = train(tmp_path / "parts", dataset(blobs()), full, FakeRun(stop_after=12))
    assert first.iterations == list(range(12))
    torch.rand(3)  # whatever else the process draws
    resumed = params(
        **given, resume=True, solver={"iterations": 30, "solver_type": solver, "base_lr": 0.01}
    )
    _, second = train(tmp_path / "parts", dataset(blobs()), resumed)
    assert second.start == 12
    assert second.iterations == list(range(12, 30))
    np.testing.assert_allclose(first.losses + second.losses, unbroken.losses, rtol=1e-6)


def test_a_stop_saves_what_there_is_and_tests_no_more(tmp_path: Path) -> None:
    report, run = train(
        tmp_path, dataset(blobs(), blobs(30)), params(), FakeRun("acc", stop_after=7)
    )
    assert {"checkpoint-7.npt", "solver-7.pt"} <= names(tmp_path)
    assert run.tests == []
    assert report.measures == ({"iteration": 6.0, "train_loss": run.losses[-1]},)


def test_resume_needs_a_solver_state_and_a_solver_state_needs_resume(tmp_path: Path) -> None:
    with pytest.raises(BadParameter) as none:
        train(tmp_path, dataset(blobs()), params(resume=True))
    assert none.value.dd_msg == (
        "Service Bad Request Error: resuming a model requires a solverstate file in model"
        " repository"
    )
    train(tmp_path, dataset(blobs()), params())
    with pytest.raises(BadParameter, match="a solverstate file requires a resume argument"):
        train(tmp_path, dataset(blobs()), params())


def test_resume_goes_up_to_iterations_in_total(tmp_path: Path) -> None:
    train(tmp_path, dataset(blobs()), params(solver={"iterations": 5}))
    again = params(resume=True, solver={"iterations": 5})
    report, run = train(tmp_path, dataset(blobs(), blobs(30)), again)
    assert run.iterations == []
    assert report.measures[0]["acc"] > 0


def test_caffe_has_its_own_file_names_and_prefixes(tmp_path: Path) -> None:
    given = CaffeParams.merge(MLP, {"solver": {"snapshot": 20}})
    train(tmp_path, dataset(blobs()), given, library=Caffe)
    assert names(tmp_path) == {
        "network.json",
        *(f"model_iter_{n}.{ending}" for n in (20, 40) for ending in ("caffemodel", "solverstate")),
    }
    prefixed = CaffeParams.merge(MLP, {"solver": {"snapshot_prefix": f"{tmp_path}/two/mine"}})
    train(tmp_path / "two", dataset(blobs()), prefixed, library=Caffe)
    assert "mine_iter_40.caffemodel" in names(tmp_path / "two")
    loaded = Caffe.load(Repository(tmp_path / "two"), CaffeParams.merge({"nclasses": 3}))
    assert len(loaded.predict(blobs(9), CaffeParams.merge({"nclasses": 3}))) == 9


def test_weights_are_where_a_training_starts(tmp_path: Path) -> None:
    train(tmp_path, dataset(blobs()), params())
    (tmp_path / "solver-40.pt").unlink()
    _, run = train(tmp_path, dataset(blobs()), params(solver={"iterations": 1}))
    assert run.losses[0] < 0.2


def test_finetuning_makes_the_last_layer_anew(tmp_path: Path) -> None:
    train(tmp_path, dataset(blobs()), params())
    (tmp_path / "checkpoint-40.npt").rename(tmp_path / "old.npt")
    (tmp_path / "solver-40.pt").unlink()
    five = {"nclasses": 5, "weights": "old.npt", "solver": {"iterations": 1, "base_lr": 1e-9}}
    with pytest.raises(BadParameter, match=r"old.npt does not fit: .*\[3\].*\[5\]"):
        train(tmp_path, dataset(blobs(classes=5)), params(**five))
    train(tmp_path, dataset(blobs(classes=5)), params(**five, finetuning=True))
    old = torch.load(tmp_path / "old.npt", weights_only=True)
    new = torch.load(tmp_path / "checkpoint-1.npt", weights_only=True)
    same = {k for k in new if new[k].shape == old[k].shape and torch.allclose(new[k], old[k])}
    assert {tuple(new[k].shape) for k in same} == {(16, 4), (16,)}


def test_freeze_leaves_all_but_the_last_layer(tmp_path: Path) -> None:
    train(tmp_path, dataset(blobs()), params())
    before = torch.load(tmp_path / "checkpoint-40.npt", weights_only=True)
    (tmp_path / "solver-40.pt").unlink()
    train(tmp_path, dataset(blobs()), params(freeze_traced=True, solver={"iterations": 3}))
    after = torch.load(tmp_path / "checkpoint-3.npt", weights_only=True)
    changed = {tuple(after[k].shape) for k in after if not torch.equal(after[k], before[k])}
    assert changed == {(3, 16), (3,)}


def test_class_weights_and_ignored_labels_change_what_is_learned(tmp_path: Path) -> None:
    _, plain = train(tmp_path / "a", dataset(blobs()), params())
    _, weighted = train(tmp_path / "b", dataset(blobs()), params(class_weights=[1.0, 0.0, 0.0]))
    _, ignoring = train(tmp_path / "c", dataset(blobs()), params(ignore_label=0))
    assert len({run.losses[0] for run in (plain, weighted, ignoring)}) == 3
    predictor = Torch.load(Repository(tmp_path / "b"), params())
    assert (predictor.predict(blobs(30), params()).probs_NC.argmax(axis=1) == 0).mean() > 0.8  # type: ignore[union-attr]


def test_a_regression_and_its_target_count(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 4))
    targets = values[:, :2] * [1.0, -2.0]
    given = params(nclasses=0, ntargets=2, regression=True, loss="L2", solver={"iterations": 150})
    run = FakeRun("eucll")
    report, _ = train(tmp_path, dataset(table(values, targets), table(values, targets)), given, run)
    assert report.measures[0]["eucll"] < 0.5
    three = params(nclasses=0, ntargets=3, regression=True)
    with pytest.raises(BadInput, match=r"2 targets an example, but parameters.mllib says 3"):
        train(tmp_path / "b", dataset(table(values, targets)), three)


def test_several_labels_at_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(80, 4))
    targets = (values[:, :3] > 0).astype(float)
    data = dataset(table(values, targets), table(values, targets))
    report, _ = train(tmp_path, data, params(solver={"iterations": 200}))
    assert report.measures[0]["f1"] > 0.9
    assert report.measures[0].keys() >= {"precision", "sensitivity", "specificity", "harmmean"}
    soft = params(regression=True, solver={"iterations": 200})
    report, _ = train(tmp_path / "soft", data, soft)
    assert report.measures[0].keys() >= {"kl_divergence", "r2", "delta_score_0.1"}
    with pytest.raises(BadInput, match="3 labels an example"):
        train(tmp_path / "b", data, params(nclasses=2))


def test_an_autoencoder_needs_no_label(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(size=(60, 4))
    given = params(nclasses=0, autoencoder=True, layers=[3, 2, 3], solver={"iterations": 100})
    run = FakeRun("eucll")
    report, _ = train(tmp_path, dataset(table(values), table(values)), given, run)
    assert 0 < report.measures[0]["eucll"] < 0.6
    assert run.losses[-1] < run.losses[0]
    output = Torch.load(Repository(tmp_path), given).predict(table(values), given)
    assert output.outputs_NV.shape == (60, 4)  # type: ignore[union-attr]


def test_images_train_with_augmentation(tmp_path: Path) -> None:
    given = params(
        template="cifar",
        nclasses=2,
        crop_size=32,
        mirror=True,
        net={"batch_size": 8},
        solver={"iterations": 30, "base_lr": 0.002},
    )
    run = FakeRun("acc")
    data = image_dataset(Images(size=36), Images(size=36, seed=1))
    report, _ = train(tmp_path, data, given, run)
    assert report.measures[0]["acc"] > 0.9
    assert '"crop_size":32' in (tmp_path / "network.json").read_text()


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    given = params(solver={"solver_type": "SGD", "base_lr": 1e20})
    with pytest.raises(LibraryError, match=r"the loss is .* at iteration .*base_lr"):
        train(tmp_path, dataset(blobs()), given)


def test_iterations_must_be_given_and_data_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="iterations"):
        train(tmp_path, dataset(blobs()), params({"nclasses": 3, "template": "mlp"}))
    with pytest.raises(BadInput, match="no data"):
        train(tmp_path, dataset(table(np.zeros((0, 4)), np.zeros((0, 1)))), params())
