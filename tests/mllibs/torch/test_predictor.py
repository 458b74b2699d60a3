"""Loaded networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from dd_ray.data import Dataset, InMemory, Scores, SparseBatch, Vectors
from dd_ray.errors import BadInput, BadParameter, LibraryError
from dd_ray.mllibs.torch.mllib import Torch
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.repository import Repository
from tests.mllibs.torch.examples import Images, blobs, dataset, image_dataset, params, table, train

CIFAR = {
    "template": "cifar",
    "nclasses": 2,
    "seed": 1,
    "net": {"batch_size": 8},
    "solver": {"iterations": 2, "base_lr": 0.001},
}


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlp")
    train(path, dataset(blobs()), params())
    return path


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cifar")
    train(path, image_dataset(Images()), params(CIFAR))
    return path


def load(path: Path, given: TorchParams | None = None, *, inner_layers: bool = False) -> Any:
    return Torch.load(Repository(path), given or params(), inner_layers=inner_layers)


def test_what_was_trained_is_what_predicts(mlp: Path) -> None:
    output = load(mlp).predict(blobs(30, seed=5), params())
    assert isinstance(output, Scores)
    hits = output.probs_NC.argmax(axis=1) == np.arange(30) % 3
    assert hits.mean() > 0.9
    np.testing.assert_allclose(output.probs_NC.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 24, 100])
def test_the_batch_size_does_not_change_predictions(mlp: Path, cifar: Path, size: int) -> None:
    given = {"net": {"test_batch_size": size}}
    rows = blobs(24)
    whole = load(mlp).predict(rows, params(net={"test_batch_size": 24}))
    parts = load(mlp).predict(rows, params(**given))
    np.testing.assert_allclose(parts.probs_NC, whole.probs_NC, rtol=1e-5)
    images = Images().batch()
    whole = load(cifar, params(CIFAR)).predict(images, params(CIFAR))
    parts = load(cifar, params(CIFAR)).predict(images, params(CIFAR, **given))
    np.testing.assert_allclose(parts.probs_NC, whole.probs_NC, rtol=1e-4)


def test_images_are_predicted_in_small_groups_and_rows_in_any(mlp: Path, cifar: Path) -> None:
    predictor = load(cifar, params(CIFAR))
    assert predictor.at_once(params(CIFAR)) == 8
    assert predictor.at_once(params(CIFAR, net={"test_batch_size": 64})) == 64
    assert load(mlp).at_once(params()) is None
    passes: list[int] = []
    predictor._network.register_forward_pre_hook(lambda _, given: passes.append(len(given[0])))
    predictor.predict(Images().batch(), params(CIFAR))
    assert passes == [8, 8, 8]


def test_sparse_rows_are_those_of_a_table(tmp_path: Path) -> None:
    rows = blobs()
    values = np.where(np.abs(rows.values_NF) > 1, rows.values_NF, 0).astype(np.float32)
    sparse = SparseBatch(
        values_NF=csr_matrix(values), names=rows.names, uris=rows.uris, targets_NT=rows.targets_NT
    )
    train(tmp_path / "sparse", Dataset(train=InMemory(sparse)), params())
    train(tmp_path / "dense", dataset(table(values, rows.targets_NT)), params())
    dense = load(tmp_path / "dense").predict(table(values), params())
    same = load(tmp_path / "sparse").predict(sparse, params())
    np.testing.assert_allclose(same.probs_NC, dense.probs_NC, rtol=1e-3)


def test_an_inner_layer_for_each_example(cifar: Path) -> None:
    """The values of one example do not depend on the others of its batch."""
    predictor = load(cifar, params(CIFAR), inner_layers=True)
    images = Images().batch()
    layer = params(CIFAR, extract_layer="last", net={"test_batch_size": 5})
    output = predictor.predict(images, layer)
    assert isinstance(output, Vectors)
    scores = predictor.predict(images, params(CIFAR))
    np.testing.assert_allclose(output.values_NV, scores.logits_NC, rtol=1e-4)
    names = [name for name, _ in predictor._network.named_modules() if name]
    for name in names:
        values = predictor.predict(images, params(CIFAR, extract_layer=name)).values_NV
        assert values.shape[0] == 24
        assert np.isfinite(values).all()
    with pytest.raises(BadParameter, match=f"unknown extract layer nope, .*{names[0]}"):
        predictor.predict(images, params(CIFAR, extract_layer="nope"))


def test_temperature_is_a_parameter_of_the_call(mlp: Path) -> None:
    predictor = load(mlp)
    sharp = predictor.predict(blobs(9), params()).probs_NC
    soft = predictor.predict(blobs(9), params(scaling_temperature=10.0)).probs_NC
    assert soft.max() < sharp.max()


def test_data_of_another_shape_is_refused(mlp: Path, cifar: Path) -> None:
    with pytest.raises(BadInput, match="5 columns, but the model was trained on 4"):
        load(mlp).predict(table(np.zeros((2, 5))), params())
    with pytest.raises(BadInput, match=r"24 columns|the model was trained on 0"):
        load(cifar, params(CIFAR)).predict(table(np.zeros((2, 24))), params(CIFAR))
    for images in (Images(size=40), Images(channels=1)):
        with pytest.raises(BadInput, match="but the model was trained on 32x32 with 3"):
            load(cifar, params(CIFAR)).predict(images.batch(), params(CIFAR))


def test_an_untrained_or_broken_repository_says_so(tmp_path: Path, mlp: Path) -> None:
    with pytest.raises(LibraryError, match="no TorchScript model"):
        load(tmp_path)
    (tmp_path / "network.json").write_bytes((mlp / "network.json").read_bytes())
    with pytest.raises(LibraryError, match="train the service first"):
        load(tmp_path)
    (tmp_path / "checkpoint-1.npt").write_bytes(b"PK nothing")
    with pytest.raises(BadParameter, match=r"checkpoint-1\.npt: not a file of PyTorch"):
        load(tmp_path)
    (tmp_path / "network.json").write_text('{"template": "mlp"}')
    with pytest.raises(LibraryError, match=r"network\.json: "):
        load(tmp_path)


def test_weights_with_code_in_them_are_refused(tmp_path: Path, mlp: Path) -> None:
    (tmp_path / "network.json").write_bytes((mlp / "network.json").read_bytes())
    torch.save({"weight": Evil(tmp_path / "ran")}, tmp_path / "checkpoint-1.npt")
    with pytest.raises(BadParameter, match="holds more than tensors"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_other_classes_than_the_model_has_are_refused(mlp: Path) -> None:
    with pytest.raises(BadParameter, match=r"the model has 3 classes, .*nclasses is 5"):
        load(mlp, params(nclasses=5))


def test_weights_of_another_framework_and_safetensors(tmp_path: Path, mlp: Path) -> None:
    from safetensors.torch import save_file

    weights = torch.load(mlp / "checkpoint-40.npt", weights_only=True)
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in weights.items()}, "epoch": 3},
        tmp_path / "wrapped.pth",
    )
    packed = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(packed, tmp_path / "plain.safetensors")
    for name in ("wrapped.pth", "plain.safetensors"):
        path = tmp_path / name[:4]
        path.mkdir()
        (path / name).write_bytes((tmp_path / name).read_bytes())
        _, run = train(path, dataset(blobs()), params(weights=name, solver={"iterations": 1}))
        assert run.losses[0] < 0.2
