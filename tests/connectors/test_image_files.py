"""Image files as the examples of a training."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dd_ray.connectors.image import ImageParams
from dd_ray.connectors.image_files import ImageFiles, PictureCache
from dd_ray.data import ImageExamples, Normalization
from dd_ray.errors import BadInput
from tests.connectors.image_data import picture, plain, save

SIZE = {"width": 4, "height": 4}
BYTES = 4 * 4 * 3


def files(folder: Path, count: int, *, cache_bytes: int = 2**20, **given: Any) -> ImageFiles:
    """Images of which each is of one value, its number."""
    paths = [save(folder / f"{i}.png", plain(i, i, i)) for i in range(count)]
    return ImageFiles(
        paths=paths,
        targets_NT=np.arange(count, dtype=np.float64)[:, None],
        params=ImageParams.merge(SIZE | given),
        cache=PictureCache(cache_bytes),
    )


def value(examples: ImageExamples, index: int) -> int:
    return int(examples.read(index)[0, 0, 0])


def test_an_image_is_as_the_network_sees_it(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", picture(40, 60))
    examples: ImageExamples = ImageFiles(
        paths=[path],
        targets_NT=np.zeros((1, 1)),
        params=ImageParams.merge(SIZE | {"rgb": True, "mean": [1, 2, 3]}),
        cache=PictureCache(0),
    )
    pixels = examples.read(0)
    assert (pixels.shape, str(pixels.dtype)) == ((4, 4, 3), "uint8")
    assert pixels.flags.c_contiguous
    assert examples.normalization == Normalization(mean=(1, 2, 3), rgb=True)
    assert (len(examples), examples.folder) == (1, None)


def test_nobody_can_change_what_others_read(tmp_path: Path) -> None:
    pixels = files(tmp_path, 1).read(0)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0] = 1


def test_an_image_is_decoded_once(tmp_path: Path) -> None:
    examples = files(tmp_path, 3)
    before = [value(examples, i) for i in range(3)]
    for path in examples.paths:
        Path(path).unlink()
    assert before == [value(examples, i) for i in range(3)] == [0, 1, 2]


def test_the_cache_keeps_what_it_has_room_for(tmp_path: Path) -> None:
    examples = files(tmp_path, 3, cache_bytes=2 * BYTES + BYTES - 1)
    for i in (2, 2, 0, 1):
        examples.read(i)
    for path in examples.paths:
        Path(path).unlink()
    assert [value(examples, i) for i in (0, 2)] == [0, 2]
    with pytest.raises(BadInput, match=r"1\.png \(not a file\)"):
        examples.read(1)


def test_threads_read_the_same_and_count_each_image_once(tmp_path: Path) -> None:
    examples = files(tmp_path, 8, cache_bytes=8 * BYTES)
    order = np.random.default_rng(0).integers(0, 8, 800)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: value(examples, i), order)) == order.tolist()
    for path in examples.paths:
        Path(path).unlink()
    assert [value(examples, i) for i in range(8)] == list(range(8)), "all eight were kept"


def test_a_copy_in_another_process_reads_too(tmp_path: Path) -> None:
    examples = files(tmp_path, 2, cache_bytes=BYTES)
    examples.read(0)
    copy = pickle.loads(pickle.dumps(examples))
    assert value(copy, 1) == 1
    for path in examples.paths:
        Path(path).unlink()
    assert value(copy, 1) == 1, "it has a cache of its own"
    with pytest.raises(BadInput):
        copy.read(0)


def test_batches_are_of_bounded_size(tmp_path: Path) -> None:
    batches = list(files(tmp_path, 70))
    assert [len(batch) for batch in batches] == [64, 6]
    last = batches[1]
    assert [int(image[0, 0, 0]) for image in last.images] == list(range(64, 70))
    assert last.targets_NT is not None
    assert last.targets_NT[:, 0].tolist() == list(range(64, 70))
    assert last.uris[0] == str(tmp_path / "64.png")
    assert last.sizes[0] == (6, 8)


def test_some_of_them_in_another_order(tmp_path: Path) -> None:
    chosen = files(tmp_path, 4).select(np.array([3, 1]))
    assert [value(chosen, i) for i in range(2)] == [3, 1]
    assert chosen.targets_NT[:, 0].tolist() == [3, 1]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    examples = files(tmp_path, 1)
    path = Path(examples.paths[0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput) as caught:
        examples.read(0)
    assert caught.value.message == (
        f"Could not read image(s): image could not be read or does not exist: {path}"
        " (truncated or damaged)"
    )
