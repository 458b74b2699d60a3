"""The images of a predict call, decoded in threads and answered in the order sent."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dd_ray.connectors.image_base64 import from_base64
from dd_ray.connectors.image_decode import unreadable
from dd_ray.connectors.image_files import Picture, load
from dd_ray.connectors.image_folders import images_of
from dd_ray.connectors.image_sets import labelled_set, locate
from dd_ray.connectors.image_state import ImageState
from dd_ray.connectors.source import LONGEST_PATH, existing_path, fetch, is_url
from dd_ray.data import ImageBatch
from dd_ray.errors import BadInput
from dd_ray.guard.paths import check
from dd_ray.locations import as_path
from dd_ray.settings import settings

if TYPE_CHECKING:
    from dd_ray.connectors.image import ImageParams

_THREADS = min(8, len(os.sched_getaffinity(0)))
_DOWNLOADS = 8


@dataclass(frozen=True, slots=True)
class _Image:
    """An image to decode: a path or the content of a file, from `data[index]`."""

    index: int
    uri: str
    source: str | bytes
    name: str


def read_images(
    data: Sequence[str], params: ImageParams, state: ImageState | None, *, labelled: bool
) -> ImageBatch:
    """The images of a predict call, with labels when `labelled`. Raises BadInput."""
    params.check_call()
    # only downloads need a folder, and making one costs as much as decoding an image
    folder = tempfile.TemporaryDirectory(prefix="dd-ray-") if _urls(data) else nullcontext("")
    with folder as scratch:
        targets_NT = None
        if labelled and not params.autoencoder:
            images, targets_NT = _labelled(data, params, state, Path(scratch))
        else:
            images = _images(data, params, Path(scratch))
        pictures = _pictures(images, params)
    if labelled and targets_NT is None:
        targets_NT = np.zeros((len(images), 0))
    return ImageBatch(
        images=[picture.pixels for picture in pictures],
        normalization=params.normalization,
        uris=[image.uri for image in images],
        sizes=[picture.size for picture in pictures],
        targets_NT=targets_NT,
    )


def _labelled(
    data: Sequence[str], params: ImageParams, state: ImageState | None, scratch: Path
) -> tuple[list[_Image], NDArray[np.float64]]:
    """The images of class folders and list files, and their labels [N, T]."""
    images, targets = [], []
    for index, item in enumerate(data):
        found = labelled_set(locate(item, params, scratch=scratch), params, state)
        images += [_Image(index, path, path, path) for path in found.paths]
        targets.append(found.targets_NT)
    if len({targets_NT.shape[1] for targets_NT in targets}) > 1:
        raise BadInput("the sets of data have different numbers of labels an image")
    return images, np.concatenate(targets)


def _images(data: Sequence[str], params: ImageParams, scratch: Path) -> list[_Image]:
    """The images that each string of `data` stands for."""
    downloads = _downloads(data, params, scratch)
    images: list[_Image] = []
    for index, item in enumerate(data):
        if index in downloads:
            images.append(_Image(index, item, downloads[index], item))
            continue
        item = as_path(item)
        path = existing_path(item)
        if path is None:
            images.append(_Image(index, str(index), _content(index, item), item))
        elif path.is_dir():
            found = images_of(item)
            if not found:
                raise BadInput(f"data[{index}]: {item} has no images")
            images += [_Image(index, file, file, file) for file in found]
        else:
            images.append(_Image(index, item, item, item))
    return images


def _content(index: int, item: str) -> bytes:
    content = from_base64(item)
    if _is_path(item):
        check(item, "data")
    if content is None:
        raise _at(index, unreadable(item, "neither a path, a URL nor base64"))
    return content


def _is_path(item: str) -> bool:
    """Whether a path is meant. Images that begin with a slash in base64 begin with these."""
    begins = item.startswith(("/", "./", "../")) and not item.startswith(("/9j/", "/0//"))
    return begins and len(item) <= LONGEST_PATH


def _at(index: int, error: BadInput) -> BadInput:
    return BadInput(f"data[{index}]: {error.message}")


def _urls(data: Sequence[str]) -> list[int]:
    """Which strings of `data` are URLs."""
    return [index for index, item in enumerate(data) if is_url(item)]


def _downloads(data: Sequence[str], params: ImageParams, scratch: Path) -> Mapping[int, str]:
    """Where the file of each URL lies, by its index in `data`."""
    urls = _urls(data)
    if not urls:
        return {}

    def download(index: int) -> str:
        folder = scratch / str(index)
        folder.mkdir()
        try:
            path = fetch(data[index], timeout_s=params.timeout, folder=folder)
        except BadInput as exc:
            raise _at(index, unreadable(data[index], exc.message)) from exc
        if path.is_dir():
            raise BadInput(f"data[{index}]: {data[index]} is a prefix, expected that of an image")
        return str(path)

    # threads of their own: a slow server must not hold up the decoding of other calls
    with ThreadPoolExecutor(min(_DOWNLOADS, len(urls)), thread_name_prefix="fetch") as pool:
        return dict(zip(urls, pool.map(download, urls), strict=True))


def _pictures(images: Sequence[_Image], params: ImageParams) -> list[Picture]:
    """The images decoded, as long as together they are no larger than a call's may be."""
    limit = settings().max_predict_bytes
    pictures: list[Picture] = []
    size = 0
    for picture in _decoded(images, params):
        size += picture.pixels.nbytes
        if size > limit:
            raise BadInput(
                f"the first {len(pictures) + 1} of {len(images)} images take {size} bytes,"
                f" expected at most {limit} in one call"
            )
        pictures.append(picture)
    return pictures


def _decoded(images: Sequence[_Image], params: ImageParams) -> Iterator[Picture]:
    """Few are under way at once, so that a long call leaves threads to others."""

    def decode(image: _Image) -> Picture:
        try:
            return load(image.source, params, name=image.name)
        except BadInput as exc:
            raise _at(image.index, exc) from exc

    if len(images) == 1:
        yield decode(images[0])
        return
    waiting: deque[Future[Picture]] = deque()
    try:
        for image in images:
            waiting.append(_pool().submit(decode, image))
            if len(waiting) > 2 * _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@cache
def _pool() -> ThreadPoolExecutor:
    """Shared, so that many calls do not make many threads."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="decode")
