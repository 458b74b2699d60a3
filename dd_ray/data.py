"""The values that flow between connectors, mllibs, measures and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBatch:
    """Rows of numbers. NaN is a missing value.

    `values_NF` float32 [N, F]; `targets_NT` float64 [N, T] where the data is labelled;
    `uris` names the rows in answers.
    """

    values_NF: NDArray[np.float32]
    names: tuple[str, ...]
    uris: Sequence[str]
    targets_NT: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.values_NF)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseBatch:
    """Sparse rows: `values_NF` is a CSR matrix [N, F], an absent cell is a missing value."""

    values_NF: csr_matrix
    names: tuple[str, ...]
    uris: Sequence[str]
    targets_NT: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return int(self.values_NF.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """`(x * scale - mean) / std` for each channel, in the order of the pixels' channels.

    No mean subtracts nothing, one is for every channel; so with std.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    rgb: bool = False
    """Whether the channels are red, green, blue; else they are blue, green, red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBatch:
    """Decoded images, resized and cropped as the connector was told.

    Each is [H, W, C] of integers (uint8, or uint16 where the data was left unchanged), of one size
    unless the service keeps native sizes. `sizes` are height and width of the originals.
    """

    images: Sequence[Pixels]
    normalization: Normalization
    uris: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    targets_NT: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.images)


Rows: TypeAlias = TableBatch | SparseBatch
Batch: TypeAlias = TableBatch | SparseBatch | ImageBatch


class Batches(Protocol):
    """A set of examples that can be gone through several times, in memory or from disk."""

    def __len__(self) -> int:
        """Number of examples."""

    def __iter__(self) -> Iterator[Batch]: ...

    @property
    def folder(self) -> Path | None:
        """Where examples on disk lie, until the training ends; None for one batch in memory."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """A set of examples that is one batch."""

    batch: Batch

    @property
    def folder(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.batch)

    def __iter__(self) -> Iterator[Batch]:
        yield self.batch


class ImageExamples(Batches, Protocol):
    """Images in files, decoded when they are asked for."""

    @property
    def normalization(self) -> Normalization: ...

    @property
    def targets_NT(self) -> NDArray[np.float64]:
        """Labels [N, T], those of `read(i)` in row i."""

    def read(self, index: int) -> Pixels:
        """One image [H, W, C] as the network shall see it; threads may read at the same time.

        Raises BadInput naming the file.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """A named set of labelled examples on which measures are computed."""

    __test__ = False  # not a pytest class

    name: str
    examples: Batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a training gets: one training set, any number of test sets."""

    train: Batches
    tests: tuple[TestSet, ...] = ()
    names: tuple[str, ...] = ()
    """Feature names, in column order."""
    class_names: tuple[str, ...] = ()
    """Names of the classes where the data has them (string labels, class folders)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Class probabilities `probs_NC` float [N, C]; each row sums to 1 unless multi-label.

    `logits_NC` are the numbers that they were made of, where the model has such.
    """

    probs_NC: Floats
    multi_label: bool = False
    """Whether each class has a probability of its own; then targets are [N, C]."""
    logits_NC: Floats | None = None

    def __len__(self) -> int:
        return len(self.probs_NC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Regression outputs `values_ND` float [N, D]."""

    values_ND: Floats
    soft_labels: bool = False
    """Whether each output is the degree, from 0 to 1, to which a class applies."""

    def __len__(self) -> int:
        return len(self.values_ND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What an inner layer computed, flattened: `values_NV` float [N, V]."""

    values_NV: Floats

    def __len__(self) -> int:
        return len(self.values_NV)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstructions:
    """How an autoencoder gives its input back.

    `outputs_NV` and `inputs_NV` float [N, V], flattened, `losses_N` float [N] of each example.
    """

    outputs_NV: Floats
    inputs_NV: Floats
    losses_N: Floats

    def __len__(self) -> int:
        return len(self.losses_N)


Output: TypeAlias = Scores | Values | Vectors | Reconstructions


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training leaves behind for its final report."""

    measures: tuple[dict[str, Any], ...]
    """Of each test set; where there is none, one of the training itself."""
    model: str
    """Name of the file in the repository that holds the best model."""
