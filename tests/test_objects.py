"""Objects in buckets, and what is said when they cannot be reached."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dd_ray.errors import BadParameter, Forbidden
from dd_ray.objects import Objects, download, download_each
from tests.buckets import Bucket
from tests.conftest import SetSettings

SOON_S = 60
"""Longest that a call may take where nobody answers."""


def objects(url: str) -> Objects:
    return Objects(url, what="data")


def test_what_is_written_is_found_again(bucket: Bucket, tmp_path: Path) -> None:
    under = objects(f"{bucket.url}/models")
    assert under.is_empty()
    under.write("a.txt", b"one")
    (tmp_path / "large").write_bytes(b"x" * 20_000_000)  # more than one part
    under.put("deep/large", tmp_path / "large")
    assert under.sizes() == {"a.txt": 3, "deep/large": 20_000_000}
    assert under.sizes(deep=False) == {"a.txt": 3}
    assert not under.is_empty()
    assert (under.read("a.txt"), under.read("b.txt")) == (b"one", None)
    under.fetch("deep/large", tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == b"x" * 20_000_000
    under.drop("a.txt")
    under.drop("a.txt")
    assert under.sizes() == {"deep/large": 20_000_000}
    under.drop_all()
    under.drop_all()
    assert bucket.names() == []


def test_a_version_that_is_known_is_not_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("m/a", "one")
    under, copy = objects(f"{bucket.url}/m"), tmp_path / "a"
    version = under.fetch("a", copy)
    copy.write_text("mine")
    assert under.fetch("a", copy, known=version) == version
    assert copy.read_text() == "mine"
    bucket.put("m/a", "two")  # as long as before, and within the same second
    assert under.fetch("a", copy, known=version) != version
    assert copy.read_text() == "two"


def test_an_object_or_a_prefix_is_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("set/a.csv", "set/cats/1.png", "setting/b.csv"):
        bucket.put(name, name)
    found = download(f"{bucket.url}/set/a.csv", tmp_path / "1", what="data")
    assert (found.name, found.read_text()) == ("a.csv", "set/a.csv")
    found = download(f"{bucket.url}/set", tmp_path / "2", what="data")
    assert sorted(str(p.relative_to(found)) for p in found.rglob("*") if p.is_file()) == [
        "a.csv",
        "cats/1.png",
    ]
    urls = [f"{bucket.url}/setting/b.csv", f"{bucket.url}/set/a.csv"]
    each = download_each(urls, tmp_path, what="data")
    assert [path.read_text() for path in each] == ["setting/b.csv", "set/a.csv"]


def test_what_is_too_much_is_not_downloaded(
    bucket: Bucket, tmp_path: Path, set_settings: SetSettings
) -> None:
    set_settings(max_download_bytes=5)
    urls = [bucket.put(f"set/{name}", "abc") for name in ("a", "b")]
    large = bucket.put("large", "abcdef")
    attempts: list[Callable[[], object]] = [
        lambda: download(large, tmp_path, what="data"),
        lambda: download(f"{bucket.url}/set", tmp_path, what="data"),
        lambda: download_each(urls, tmp_path, what="data"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="6 bytes, expected at most 5") as caught:
            attempt()
        assert "DD_RAY_MAX_DOWNLOAD_BYTES" in str(caught.value.strerror)


def test_names_that_lead_out_of_a_folder_are_left_out(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("set/../../out.txt", "set/a/../../../out.txt", "set//out.txt", "set/in.txt"):
        bucket.put_as_it_is(name)
    found = download(f"{bucket.url}/set", tmp_path / "folder", what="data")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["in.txt"]
    assert [path.name for path in found.iterdir()] == ["in.txt"]


def test_only_what_lies_in_a_root_is_asked_for(bucket: Bucket, set_settings: SetSettings) -> None:
    bucket.put("in/x", "")
    bucket.put("out/x", "")
    set_settings(roots=f"{bucket.url}/in")
    assert objects(f"{bucket.url}/in").sizes() == {"x": 0}
    assert objects(f"{bucket.url}//in/x").size() == 0
    for url in (f"{bucket.url}/out", bucket.url, f"{bucket.url}/inside", "gs://b/in"):
        with pytest.raises(Forbidden) as caught:
            objects(url).sizes()
        assert caught.value.message.startswith("data: expected in a folder that this server opens")
        assert url not in caught.value.message
    with pytest.raises(BadParameter, match=r"data: 's3://.*: a part of it is"):
        objects(f"{bucket.url}/in/../out")
    set_settings(roots="/")
    with pytest.raises(Forbidden, match="data: DD_RAY_ROOTS names no bucket"):
        objects(f"{bucket.url}/in").sizes()


def test_a_bucket_that_is_not_there_is_said(
    bucket: Bucket, tmp_path: Path, set_settings: SetSettings
) -> None:
    set_settings(roots="s3://b-none")
    with pytest.raises(OSError, match="no such bucket"):
        objects("s3://b-none/m").write("x", b"")
    with pytest.raises(FileNotFoundError):
        download("s3://b-none/m", tmp_path, what="data")


@pytest.mark.parametrize("listens", [False, True])
def test_a_host_that_does_not_answer_is_not_waited_for(
    bucket: Bucket, set_settings: SetSettings, monkeypatch: pytest.MonkeyPatch, listens: bool
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listens:
            deaf.listen(16)
        port = deaf.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        set_settings(read_timeout_s=1, connect_timeout_s=1)
        began = time.monotonic()
        with pytest.raises(OSError, match="no answer from the host"):
            objects(f"{bucket.url}/m").sizes()
        assert time.monotonic() - began < SOON_S
