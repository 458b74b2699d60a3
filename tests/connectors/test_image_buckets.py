"""Images in buckets: class folders, list files, and single ones to predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dd_ray.errors import BadInput, Forbidden
from tests.buckets import Bucket
from tests.connectors.image_data import encoded, plain, read, train


@pytest.fixture
def images(bucket: Bucket) -> Bucket:
    """Two classes of one image each, under `set`, and lists of them."""
    for number, name in enumerate(("cats/1.png", "dogs/2.png")):
        bucket.put(f"set/{name}", encoded(plain(10 * number, 0, 0)))
    bucket.put("set/near.txt", "cats/1.png 0\ndogs/2.png 1\n")
    bucket.put("lists/far.txt", f"{bucket.url}/set/cats/1.png 0\n{bucket.url}/set/dogs/2.png 1\n")
    bucket.put("lists/rooted.txt", "cats/1.png 0\ndogs/2.png 1\n")
    return bucket


def test_a_prefix_is_a_folder_of_class_folders(images: Bucket, tmp_path: Path) -> None:
    dataset, state = train(f"{images.url}/set", scratch=tmp_path)
    assert state.class_names == ["cats", "dogs"]
    assert dataset.train.targets_NT[:, 0].tolist() == [0, 1]
    assert dataset.train.read(1)[0, 0, 0] == 10


@pytest.mark.parametrize("name", ["set/near.txt", "lists/far.txt", "lists/rooted.txt"])
def test_a_list_names_images_beside_it_in_a_root_folder_or_by_their_urls(
    images: Bucket, tmp_path: Path, name: str
) -> None:
    given = {"root_folder": f"{images.url}/set"} if "rooted" in name else {}
    dataset, _ = train(f"{images.url}/{name}", scratch=tmp_path, **given)
    assert dataset.train.targets_NT[:, 0].tolist() == [0, 1]
    assert [int(dataset.train.read(i)[0, 0, 0]) for i in (0, 1)] == [0, 10]
    batch = read(f"{images.url}/{name}", labelled=True, **given)
    assert np.asarray(batch.targets_NT)[:, 0].tolist() == [0, 1]


def test_a_list_on_a_disk_may_name_objects(images: Bucket, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(images.get("lists/far.txt"))
    dataset, _ = train(str(listed), scratch=tmp_path)
    assert len(dataset.train) == 2


def test_an_image_is_predicted(images: Bucket, tmp_path: Path) -> None:
    urls = [f"{images.url}/set/{name}" for name in ("dogs/2.png", "cats/1.png")]
    local = tmp_path / "3.png"
    local.write_bytes(encoded(plain(20, 0, 0)))
    batch = read(*urls, f"file://{local}")
    assert batch.uris == [*urls, str(local)]
    assert [int(image[0, 0, 0]) for image in batch.images] == [10, 0, 20]


def test_what_is_not_there_or_not_allowed(images: Bucket, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\[0\]: .*/set/no\.png.*no such object"):
        read(f"{images.url}/set/no.png")
    with pytest.raises(BadInput, match=r"data\[0\]: .* is a prefix, expected that of an image"):
        read(f"{images.url}/set/cats")
    with pytest.raises(Forbidden):
        read("s3://elsewhere/1.png")
    images.put("set/out.txt", "s3://elsewhere/1.png 0\n")
    with pytest.raises(Forbidden):
        train(f"{images.url}/set/out.txt", scratch=tmp_path)
    images.put("set/none.txt", "cats/none.png 0\n")
    with pytest.raises(BadInput, match=r"/set/none\.txt: an image cannot be fetched: no such"):
        train(f"{images.url}/set/none.txt", scratch=tmp_path)
