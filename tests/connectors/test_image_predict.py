"""The images of a predict call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from dd_ray.connectors.image_state import ImageState
from dd_ray.data import ImageBatch, Normalization
from dd_ray.errors import BadInput
from dd_ray.settings import Settings
from tests.conftest import Write
from tests.connectors.image_data import encoded, in_base64, picture, plain, read, save, train

TEXT = "Could not read image(s): image could not be read or does not exist: "


class Site(SimpleHTTPRequestHandler):
    """Files of a folder, and `/camera.png`, which is another image each time."""

    taken = count(1)

    def do_GET(self) -> None:
        if self.path != "/camera.png":
            return super().do_GET()
        i = next(self.taken)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(encoded(plain(i, i, i)))
        return None

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, loopback_allowed: None) -> Iterator[str]:
    """The address of a server of the test's folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def values(batch: ImageBatch) -> list[int]:
    """The first number of each image."""
    return [int(image[0, 0, 0]) for image in batch.images]


def refusal(*data: str, **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        read(*data, **given)
    return caught.value.message


def test_paths_base64_and_urls_in_the_order_sent(tmp_path: Path, web: str) -> None:
    path = save(tmp_path / "1.png", plain(1, 1, 1))
    save(tmp_path / "3.png", plain(3, 3, 3))
    save(tmp_path / "sub" / "3.png", plain(4, 4, 4))
    data = [path, in_base64(plain(2, 2, 2)), f"{web}/3.png", f"{web}/sub/3.png", f"{web}/3.png"]
    batch = read(*data)
    assert values(batch) == [1, 2, 3, 4, 3]
    assert batch.uris == [path, "1", *data[2:]]
    assert batch.targets_NT is None


def test_a_url_sent_twice_is_fetched_twice(web: str) -> None:
    first, second = values(read(f"{web}/camera.png", f"{web}/camera.png"))
    assert {second - first, first - second} == {-1, 1}


def test_many_images_keep_their_order() -> None:
    batch = read(*(in_base64(plain(i, i, i, rows=200 - i)) for i in range(100)), width=5, height=5)
    assert values(batch) == list(range(100))
    assert batch.uris == [str(i) for i in range(100)]


def test_images_are_prepared_and_original_sizes_kept() -> None:
    batch = read(in_base64(picture(30, 40)), width=20, height=10, rgb=True, mean=[1, 2, 3])
    assert batch.images[0].shape == (10, 20, 3)
    assert batch.sizes == [(30, 40)]
    assert batch.normalization == Normalization(mean=(1, 2, 3), rgb=True)


def test_base64_may_be_a_data_url() -> None:
    assert values(read("data:image/png;base64," + in_base64(plain(5, 5, 5)))) == [5]


def test_identical_images_stay_apart(tmp_path: Path) -> None:
    path = save(tmp_path / "1.png")
    assert read(path, path).uris == [path, path]


def test_a_folder_is_its_files_or_those_of_its_class_folders(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for i in (2, 1):
        save(flat / f"{i}.png", plain(i, i, i))
    save(tmp_path / "classes" / "a" / "b" / "3.png", plain(3, 3, 3))
    image = in_base64(plain(9, 9, 9))
    batch = read(str(flat), image, str(tmp_path / "classes"))
    assert values(batch) == [1, 2, 9, 3]
    assert batch.uris == [
        f"{flat}/1.png",
        f"{flat}/2.png",
        "1",
        f"{tmp_path}/classes/a/b/3.png",
    ]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == f"data[0]: {tmp_path} has no images"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("no/such/cat.jpg", "neither a path, a URL nor base64"),
        ("file://host/1.png", "neither a path, a URL nor base64"),
        ("/no/such/cat", "not a file of JPEG, PNG,"),
        ("AAAA", "not a file of JPEG, PNG,"),
        ("", "not a file of JPEG, PNG,"),
        ("\0", "neither a path, a URL nor base64"),
        ("ü" * 5000, "neither a path, a URL nor base64"),
    ],
)
def test_one_unreadable_element_fails_the_call_by_its_index(item: str, reason: str) -> None:
    for data, index in (([item], 0), ([in_base64(picture()), in_base64(picture()), item], 2)):
        assert refusal(*data).startswith(f"data[{index}]: {TEXT}{item[:200]} ({reason}")


def test_an_unreadable_file_of_a_folder_is_named(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    (tmp_path / "2.jpg").write_text("a text")
    assert refusal(in_base64(picture()), str(tmp_path)).startswith(
        f"data[1]: {TEXT}{tmp_path}/2.jpg (not a file of"
    )


def test_an_image_that_does_not_fit_the_parameters_is_named_by_its_index() -> None:
    message = refusal(
        in_base64(picture(40, 40)),
        in_base64(picture(5, 5)),
        width=0,
        height=0,
        crop_width=9,
        crop_height=9,
    )
    assert message.startswith("data[1]: parameters.input.crop_width: Crop width must be")


def test_a_url_that_fails_is_named(web: str) -> None:
    url = f"{web}/none.png"
    assert refusal(in_base64(picture()), url) == (
        f"data[1]: {TEXT}{url} ({url}: answered with status 404)"
    )
    assert refusal("http://127.0.0.1:1/x.png").startswith(
        f"data[0]: {TEXT}http://127.0.0.1:1/x.png"
    )


def test_the_images_of_a_call_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "dd_ray.connectors.image_predict.settings", lambda: Settings(max_predict_bytes=300)
    )
    image = in_base64(picture())
    assert len(read(*[image] * 2, width=10, height=5)) == 2
    assert refusal(*[image] * 4, width=10, height=5) == (
        "the first 3 of 4 images take 450 bytes, expected at most 300 in one call"
    )


def test_labelled_folders_are_matched_by_the_names_of_the_training(tmp_path: Path) -> None:
    for i, name in enumerate(("a/0", "b/1", "x/2", "b/3")):
        save(tmp_path / f"{name}.png", plain(i, i, i))
    state = ImageState(class_names=["b", "c", "a"], classes=3)
    batch = read(str(tmp_path), state=state, labelled=True)
    assert values(batch) == [0, 1, 3]
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[2], [0], [0]]
    assert batch.uris == [f"{tmp_path}/{name}.png" for name in ("a/0", "b/1", "b/3")]


def test_labelled_lists_are_read_as_in_the_training(write: Write, tmp_path: Path, web: str) -> None:
    image = save(tmp_path / "i.png")
    one, two = write("1.txt", f"{image} dog"), write("2.txt", f"{image} cat", f"{image} 0")
    state = ImageState(class_names=["cat", "dog"], classes=2)
    batch = read(one, f"{web}/2.txt", state=state, labelled=True)
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[1], [0], [0]]
    bad = write("3.txt", f"{image} 2")
    with pytest.raises(BadInput, match=r"3\.txt, line 1: label 2"):
        read(bad, state=state, labelled=True)
    assert Path(two).exists()


def test_several_labels_are_measured_as_trained(write: Write, tmp_path: Path) -> None:
    image = save(tmp_path / "i.png")
    path = write("1.txt", f"{image} 0 1", f"{image} -1 1")
    _, state = train(path)
    batch = read(path, state=state, labelled=True)
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[0, 1], [-1, 1]]


def test_labels_without_a_training_are_numbers(write: Write, tmp_path: Path) -> None:
    image = save(tmp_path / "0" / "i.png")
    batch = read(write("l.txt", f"{image} 1.5"), str(tmp_path), labelled=True)
    assert batch.targets_NT is not None
    assert batch.targets_NT.tolist() == [[1.5], [0]]
    several = write("m.txt", f"{image} 1 2")
    with pytest.raises(BadInput, match="different numbers of labels"):
        read(several, str(tmp_path), labelled=True)


def test_labels_are_not_in_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"1\.png: not UTF-8 text"):
        read(save(tmp_path / "1.png"), labelled=True)
    with pytest.raises(BadInput, match="does not exist"):
        read(in_base64(picture()), labelled=True)


def test_an_autoencoder_is_measured_without_labels(tmp_path: Path) -> None:
    batch = read(save(tmp_path / "1.png"), labelled=True, autoencoder=True)
    assert batch.targets_NT is not None
    assert batch.targets_NT.shape == (1, 0)


def test_gray_and_unchanged_images() -> None:
    assert read(in_base64(picture()), bw=True).images[0].shape == (227, 227, 1)
    deep = np.full((6, 8), 40_000, np.uint16)
    unchanged = read(in_base64(deep), unchanged_data=True).images[0]
    assert (str(unchanged.dtype), int(unchanged[0, 0, 0])) == ("uint16", 40_000)
