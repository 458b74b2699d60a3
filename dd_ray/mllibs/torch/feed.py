"""Batches of tensors out of examples: tables from memory or disk, images decoded ahead."""

from __future__ import annotations

import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.data import (
    Batches,
    Floats,
    ImageBatch,
    ImageExamples,
    Normalization,
    Pixels,
    Rows,
    TableBatch,
)
from dd_ray.errors import BadInput
from dd_ray.mllibs.threads import cpu_threads
from dd_ray.mllibs.torch.augment import augment, center_crop
from dd_ray.mllibs.torch.augment_params import Augmentation
from dd_ray.mllibs.torch.order import Draw
from dd_ray.templates.spec import Shape

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

T = TypeVar("T")
R = TypeVar("R")


class Feed(Protocol):
    """Examples as tensors."""

    shape: Shape
    targets_NT: NDArray[np.float64]

    def __len__(self) -> int: ...

    def inputs(self, draws: Iterator[Draw]) -> Iterator[tuple[Draw, torch.Tensor]]:
        """Network inputs [B, ...] for each draw, in their order."""


class TableFeed:
    """Rows of a table or of a sparse matrix."""

    def __init__(self, examples: Batches) -> None:
        self._values_NF, self.targets_NT = _rows(examples)
        self.shape = Shape(features=self._values_NF.shape[1])

    def __len__(self) -> int:
        return len(self.targets_NT)

    def inputs(self, draws: Iterator[Draw]) -> Iterator[tuple[Draw, torch.Tensor]]:
        for draw in draws:
            yield draw, table_tensor(self._values_NF[draw.indices_B])


class ImageFeed:
    """Images, read and augmented in threads while the network works.

    Without an augmentation they are cropped at the centre to the network's `size`.
    """

    def __init__(
        self,
        examples: ImageExamples,
        *,
        size: tuple[int, int] | None,
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        self._examples = examples
        self._size = size
        self._augmentation = augmentation
        self._rgb = examples.normalization.rgb
        self._seed = seed
        self.targets_NT = examples.targets_NT
        first = next(self.inputs(iter([Draw(0, np.zeros(1, np.int64))])))[1]
        _, channels, height, width = first.shape
        self.shape = Shape(channels=channels, height=height, width=width)

    def __len__(self) -> int:
        return len(self._examples)

    def inputs(self, draws: Iterator[Draw]) -> Iterator[tuple[Draw, torch.Tensor]]:
        with ahead(draws, self._read, threads=cpu_threads()) as batches:
            for draw, pixels_BHWC in batches:
                yield draw, torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2)

    def _read(self, draw: Draw) -> tuple[Draw, Floats]:
        images = []
        for index, rng in zip(draw.indices_B, draw.generators(self._seed), strict=True):
            image = self._examples.read(int(index))
            if self._augmentation is not None:
                image = augment(image, self._augmentation, rng, rgb=self._rgb)
            elif self._size is not None:
                image = center_crop(image, self._size)
            images.append(image)
        return draw, normalized(images, self._examples.normalization)


def feed_of(
    examples: Batches,
    *,
    size: tuple[int, int] | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> Feed:
    """The feed for a set of examples; raises BadInput when there are none."""
    if len(examples) == 0:
        raise BadInput("no data could be found")
    if hasattr(examples, "read"):
        images: Any = examples
        return ImageFeed(images, size=size, augmentation=augmentation, seed=seed)
    return TableFeed(examples)


def table_tensor(values_NF: Any) -> torch.Tensor:
    """Rows [N, F] as a tensor, sparse ones as CSR."""
    if isinstance(values_NF, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(values_NF))
    return torch.sparse_csr_tensor(
        torch.from_numpy(values_NF.indptr.astype(np.int64)),
        torch.from_numpy(values_NF.indices.astype(np.int64)),
        torch.from_numpy(values_NF.data),
        size=values_NF.shape,
        check_invariants=False,  # SciPy's matrices hold them
    )


def normalized(images: list[Pixels], normalization: Normalization) -> Floats:
    """`(x * scale - mean) / std` of images of one size, float32 [N, H, W, C]; raises BadInput."""
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        (a, b, _), (c, d, _) = sorted(sizes)[:2]
        raise BadInput(
            f"images of different sizes, {b}x{a} and {d}x{c}: set parameters.input.width and height"
        )
    pixels = np.stack(images).astype(np.float32)
    if normalization.scale != 1:
        pixels *= np.float32(normalization.scale)
    if normalization.mean:
        pixels -= np.array(normalization.mean, np.float32)
    if normalization.std:
        pixels /= np.array(normalization.std, np.float32)
    return pixels


@contextmanager
def ahead(items: Iterator[T], work: Callable[[T], R], *, threads: int) -> Iterator[Iterator[R]]:
    """Results of `work` on each item, in order, made by threads before they are asked for.

    Twice as many items are under way as there are threads, so memory is bounded.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="feed") as pool:
        waiting: deque[Future[R]] = deque()

        def results() -> Iterator[R]:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        try:
            yield results()
        finally:
            for future in waiting:
                future.cancel()


def _rows(examples: Batches) -> tuple[Any, NDArray[np.float64]]:
    """All rows and targets; rows of a table on disk are on disk, float32 and mapped."""
    if examples.folder is None:
        batch = next(iter(examples))
        assert not isinstance(batch, ImageBatch)
        return batch.values_NF, _targets(batch)
    iterator = iter(examples)
    first = next(iterator)
    assert not isinstance(first, ImageBatch)
    rows = np.memmap(
        examples.folder / f"rows-{uuid.uuid4().hex}",
        np.float32,
        "w+",
        shape=(len(examples), first.values_NF.shape[1]),
    )
    targets, start = [], 0
    for batch in _chain(first, iterator):
        assert isinstance(batch, TableBatch)  # only tables are on disk
        rows[start : start + len(batch)] = batch.values_NF
        targets.append(_targets(batch))
        start += len(batch)
    return rows, np.concatenate(targets)


def _targets(batch: Rows) -> NDArray[np.float64]:
    """Targets [N, T]; [N, 0] where there are none, which an autoencoder needs not."""
    return np.zeros((len(batch), 0)) if batch.targets_NT is None else batch.targets_NT


def _chain(first: Rows, rest: Iterator[Any]) -> Iterator[Rows]:
    yield first
    yield from rest
