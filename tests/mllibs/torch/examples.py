"""Small sets of examples for the torch mllib."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dd_ray.data import Dataset, ImageBatch, InMemory, Normalization, TableBatch, TestSet
from dd_ray.mllibs.torch.mllib import Torch, TorchLibrary
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.repository import Repository
from tests.mllibs.fake_run import FakeRun


def blobs(count: int = 90, *, classes: int = 3, seed: int = 0) -> TableBatch:
    """Points around one centre a class: 4 columns, easy to tell apart."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    centres = np.random.default_rng(1).normal(size=(classes, 4)) * 4
    return table(centres[targets] + rng.normal(size=(count, 4)) / 2, targets[:, None])


def table(values: np.ndarray, targets: np.ndarray | None = None) -> TableBatch:
    return TableBatch(
        values_NF=np.asarray(values, np.float32),
        names=tuple(f"c{i}" for i in range(values.shape[1])),
        uris=[str(i) for i in range(len(values))],
        targets_NT=None if targets is None else np.asarray(targets, np.float64),
    )


def dataset(*batches: TableBatch) -> Dataset:
    """The first trains, the others are test sets."""
    sets = [TestSet(name=f"set{i}", examples=InMemory(b)) for i, b in enumerate(batches[1:])]
    return Dataset(train=InMemory(batches[0]), tests=tuple(sets), names=batches[0].names)


@dataclass(frozen=True)
class Images:
    """Images in memory: two classes, dark and bright, with noise."""

    count: int = 24
    size: int = 32
    channels: int = 3
    seed: int = 0
    normalization: Normalization = field(default_factory=lambda: Normalization(scale=1 / 255))

    @property
    def folder(self) -> None:
        return None

    def __len__(self) -> int:
        return self.count

    @property
    def targets_NT(self) -> np.ndarray:
        return (np.arange(self.count) % 2)[:, None].astype(np.float64)

    def read(self, index: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, index))
        level = 60 if index % 2 else 180
        noise = rng.integers(-40, 40, (self.size, self.size, self.channels))
        return np.clip(level + noise, 0, 255).astype(np.uint8)

    def batch(self) -> ImageBatch:
        return ImageBatch(
            images=[self.read(i) for i in range(self.count)],
            normalization=self.normalization,
            uris=[str(i) for i in range(self.count)],
            sizes=[(self.size, self.size)] * self.count,
            targets_NT=self.targets_NT,
        )

    def __iter__(self) -> Iterator[ImageBatch]:
        yield self.batch()


def image_dataset(train: Any, *tests: Any) -> Dataset:
    sets = [TestSet(name=f"set{i}", examples=images) for i, images in enumerate(tests)]
    return Dataset(train=train, tests=tuple(sets))


MLP = {
    "nclasses": 3,
    "template": "mlp",
    "layers": [16],
    "seed": 1,
    "net": {"batch_size": 15},
    "solver": {"iterations": 40, "solver_type": "ADAM", "base_lr": 0.02},
}


def params(given: dict[str, Any] | None = None, /, **over: Any) -> TorchParams:
    """The parameters of MLP, with others over them."""
    return TorchParams.merge(MLP if given is None else given, over)


def train(
    path: Path,
    data: Dataset,
    given: TorchParams,
    run: FakeRun | None = None,
    *,
    library: TorchLibrary = Torch,
) -> tuple[Any, FakeRun]:
    """Trains into `path`; the report, and what was reported on the way."""
    run = run or FakeRun("acc", "f1")
    path.mkdir(exist_ok=True)
    return library.train(data, Repository(path), given, run), run
