"""Images in files as the examples of a training, decoded once as far as memory is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image_decode import decode
from dd_ray.connectors.image_prepare import prepare, read_flags
from dd_ray.data import ImageBatch, Normalization, Pixels

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as the network sees it, read-only, and its height and width before."""

    pixels: Pixels
    size: tuple[int, int]


def load(source: str | bytes, params: ImageParams, *, name: str) -> Picture:
    """The image of a file, by its path or its content. Raises BadInput, which names it `name`."""
    image = decode(source, flags=read_flags(params), name=name)
    pixels = prepare(image, params, name=name)
    params.check_channels(pixels.shape[2], of=name)
    pixels.flags.writeable = False
    height, width = image.shape[:2]
    return Picture(pixels, (height, width))


class PictureCache:
    """Pictures by path, kept as long as there is room; threads may share it.

    Nothing is dropped: each pass reads all images in another order, so that the first to come are
    as good to have as the last. A copy in another process begins empty.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._left = limit_bytes
        self._kept: dict[str, Picture] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[PictureCache], tuple[int]]:
        return PictureCache, (self._limit,)

    def get(self, path: str) -> Picture | None:
        return self._kept.get(path)

    def keep(self, path: str, picture: Picture) -> None:
        """Keeps a picture if it fits into what is left."""
        with self._lock:
            if path not in self._kept and picture.pixels.nbytes <= self._left:
                self._left -= picture.pixels.nbytes
                self._kept[path] = picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """Labelled image files; see ImageExamples. Sets of one training share a cache."""

    paths: Sequence[str]
    targets_NT: NDArray[np.float64]
    params: ImageParams
    cache: PictureCache

    @property
    def folder(self) -> None:
        return None

    @property
    def normalization(self) -> Normalization:
        return self.params.normalization

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> Pixels:
        return self._picture(index).pixels

    def __iter__(self) -> Iterator[ImageBatch]:
        for start in range(0, len(self), _BATCH):
            chosen = range(start, min(start + _BATCH, len(self)))
            pictures = [self._picture(i) for i in chosen]
            yield ImageBatch(
                images=[picture.pixels for picture in pictures],
                normalization=self.normalization,
                uris=[self.paths[i] for i in chosen],
                sizes=[picture.size for picture in pictures],
                targets_NT=self.targets_NT[chosen.start : chosen.stop],
            )

    def select(self, order: NDArray[np.int64]) -> ImageFiles:
        """Those of the given numbers, in that order."""
        return replace(
            self, paths=[self.paths[i] for i in order], targets_NT=self.targets_NT[order]
        )

    def _picture(self, index: int) -> Picture:
        path = self.paths[index]
        picture = self.cache.get(path)
        if picture is None:
            picture = load(path, self.params, name=path)
            self.cache.keep(path, picture)
        return picture
