"""Image files as pixels, and the files that are refused."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dd_ray.connectors.image_decode import decode
from dd_ray.errors import BadInput
from dd_ray.settings import Settings
from tests.connectors.image_data import encoded, picture

LOSSLESS = (".png", ".bmp", ".tiff", ".ppm")
LOSSY = (".jpg", ".webp", ".jp2")
TEXT = "Could not read image(s): image could not be read or does not exist: it ("


def decoded(source: str | bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    return np.asarray(decode(source, flags=flags, name="it"))


def refusal(source: str | bytes, flags: int = cv2.IMREAD_COLOR) -> str:
    with pytest.raises(BadInput) as caught:
        decode(source, flags=flags, name="it")
    return caught.value.message


@pytest.mark.parametrize("ending", LOSSLESS)
def test_a_lossless_format_gives_its_pixels(ending: str) -> None:
    assert np.array_equal(decoded(encoded(picture(), ending)), picture())


@pytest.mark.parametrize("ending", LOSSY)
def test_a_lossy_format_gives_about_its_pixels(ending: str) -> None:
    image = picture(40, 48)
    difference = decoded(encoded(image, ending)).astype(int) - image
    assert np.abs(difference).mean() < 3


def test_a_gif_gives_its_first_image() -> None:
    file = BytesIO()
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert (decoded(file.getvalue()) == (0, 0, 255)).all()


def test_a_path_gives_what_its_content_gives(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded(picture(), ".jpg"))
    assert np.array_equal(decoded(str(path)), decoded(path.read_bytes()))


def test_alpha_and_16_bits_stay_when_unchanged() -> None:
    alpha = np.dstack([picture(), np.full((6, 8), 9, np.uint8)])
    assert np.array_equal(decoded(encoded(alpha), cv2.IMREAD_UNCHANGED), alpha)
    deep = picture().astype(np.uint16) * 200
    for image, ending in ((deep, ".png"), (deep, ".tiff"), (deep[:, :, 0], ".png")):
        content = encoded(image, ending)
        assert np.array_equal(decoded(content, cv2.IMREAD_UNCHANGED), image)
        assert decoded(content).dtype == np.uint8


def test_an_image_of_floats_is_refused() -> None:
    content = encoded(picture()[:, :, 0].astype(np.float32), ".tiff")
    assert "pixels are float32, expected 8 or 16 bits" in refusal(content, cv2.IMREAD_UNCHANGED)


def test_the_camera_was_held_upright() -> None:
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise
    Image.new("RGB", (8, 6)).save(file, "JPEG", exif=exif)
    assert decoded(file.getvalue()).shape == (8, 6, 3)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", LOSSLESS + LOSSY)
def test_a_truncated_file_is_refused(ending: str, part: float) -> None:
    content = encoded(picture(40, 48), ending)
    assert refusal(content[: int(len(content) * part)]).startswith(TEXT)


def test_a_truncated_jpeg_is_refused_although_its_thumbnail_is_whole(tmp_path: Path) -> None:
    thumbnail = b"Exif\0\0" + encoded(picture(), ".jpg")
    content = encoded(picture(100, 100), ".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = content[:2] + segment + content[2:]
    assert decoded(whole).shape == (100, 100, 3)
    path = tmp_path / "x.jpg"
    path.write_bytes(whole[:-50])
    assert refusal(str(path)) == TEXT + "truncated or damaged)"


def test_a_progressive_jpeg_is_refused_when_truncated() -> None:
    content = cv2.imencode(".jpg", picture(100, 100), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    assert decoded(content.tobytes()).shape == (100, 100, 3)
    assert refusal(content.tobytes()[:-50]).startswith(TEXT)


@pytest.mark.parametrize(
    "content",
    [b"", b"a\n", b"<html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF"],
)
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert refusal(str(path)).startswith(TEXT + "not a file of JPEG, PNG,")
    assert refusal(content) == refusal(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing.png", tmp_path / "pipe"):
        assert refusal(str(path)) == TEXT + "not a file)"


def _huge_png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _huge(kind: str, at: int, size: bytes) -> bytes:
    """A small image whose header says that it is huge."""
    file = BytesIO()
    Image.new("L", (8, 8)).save(file, kind)
    content = file.getvalue()
    at = at if at >= 0 else content.index(b"\xff\xc0") + 5  # JPEG's start of frame
    return content[:at] + size + content[at + len(size) :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_huge_png(), id="PNG"),
        pytest.param(_huge("JPEG", -1, struct.pack(">HH", 60_000, 60_000)), id="JPEG"),
        pytest.param(_huge("GIF", 6, struct.pack("<HH", 60_000, 60_000)), id="GIF"),
        pytest.param(_huge("BMP", 18, struct.pack("<ii", 60_000, 60_000)), id="BMP"),
        pytest.param(b"P6\n60000 60000\n255\n", id="PPM"),
    ],
)
def test_an_image_of_too_many_pixels_is_refused_by_its_header(content: bytes) -> None:
    assert refusal(content) == TEXT + "60000x60000 pixels, expected at most 134217728)"


@pytest.mark.parametrize("ending", LOSSLESS + LOSSY)
def test_the_limit_is_the_operators(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(picture(40, 50), ending)
    allow(monkeypatch, 2000)
    assert decoded(content).shape == (40, 50, 3)
    allow(monkeypatch, 1999)
    assert "50x40 pixels, expected at most 1999" in refusal(content)


def allow(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(
        "dd_ray.connectors.image_decode.settings", lambda: Settings(max_image_pixels=pixels)
    )


def test_the_error_shows_the_start_of_a_long_name() -> None:
    with pytest.raises(BadInput) as caught:
        decode(b"", flags=1, name="n" * 1000)
    assert caught.value.message.count("n" * 200) == 1
    assert "n" * 201 not in caught.value.message
