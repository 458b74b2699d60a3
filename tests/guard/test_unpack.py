"""Unpacking archives."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dd_ray.guard.unpack import BadArchive, plain_name, unpack
from tests.guard.archives import FILES, tar, zipped

NAMES = ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"]


def made(path: Path, files: dict[str, bytes] = FILES) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tar(path, files)


def unpacked(archive: Path, *, max_bytes: int = 10**6, max_files: int = 10) -> dict[str, bytes]:
    """The files that come out, by name; checks that there is nothing else."""
    folder = archive.parent / "out"
    folder.mkdir()
    names = unpack(archive, folder, max_bytes=max_bytes, max_files=max_files)
    there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert there == set(names)
    return {str(name): (folder / name).read_bytes() for name in names}


def refusal(archive: Path, **limits: int) -> str:
    with pytest.raises(BadArchive) as refused:
        unpacked(archive, **limits)
    return str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_files_come_out_as_they_went_in(name: str, tmp_path: Path) -> None:
    assert unpacked(made(tmp_path / name)) == FILES


@pytest.mark.parametrize("name", NAMES)
def test_bytes_and_files_are_limited(name: str, tmp_path: Path) -> None:
    archive = made(tmp_path / name)
    limits = {"max_bytes": 10**6, "max_files": 1}
    assert "more than 1 files (DD_RAY_MAX_ARCHIVE_FILES)" in refusal(archive, **limits)
    (tmp_path / "out").rename(tmp_path / "first")
    assert "more than 900 bytes (DD_RAY_MAX_ARCHIVE_BYTES" in refusal(archive, max_bytes=900)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"])
def test_a_bomb_is_refused_by_how_much_it_grows(name: str, tmp_path: Path) -> None:
    archive = made(tmp_path / name, {"bomb": bytes(100 * 2**20)})
    assert archive.stat().st_size < 200_000
    assert "200 times its own size" in refusal(archive, max_bytes=10**10)
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*")) <= 65 * 2**20


OUTSIDE = [
    "/etc/x",
    "../x",
    "a/../../x",
    "..",
    "a\\..\\b",
    "x\n",
    "",
    ".",
    "./",
    "C:\\x",
    "a" * 300,
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["a.tar", "a.zip"])
def test_names_that_lead_out_are_refused(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "a.zip" and name in ("", "./"):
        pytest.skip("zip has no such file")
    archive = made(tmp_path / kind, {"good": b"x", name: b"evil"})
    assert refusal(archive)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [kind]


def test_a_leading_dot_folder_is_plain(tmp_path: Path) -> None:
    assert unpacked(tar(tmp_path / "a.tar", {"./a": b"1", "b//c": b"2"})) == {
        "a": b"1",
        "b/c": b"2",
    }


SPECIAL: dict[str, dict[str, Any]] = {
    "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "inner": {"type": tarfile.SYMTYPE, "linkname": "model.json"},
    "hard": {"type": tarfile.LNKTYPE, "linkname": "model.json"},
    "fifo": {"type": tarfile.FIFOTYPE},
    "block": {"type": tarfile.BLKTYPE, "devmajor": 8},
    "char": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
}


@pytest.mark.parametrize("name", SPECIAL)
def test_links_and_devices_in_a_tar_are_refused(name: str, tmp_path: Path) -> None:
    assert "is a link or a device" in refusal(tar(tmp_path / "a.tar", **{name: SPECIAL[name]}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(kind: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"x": b"/etc/passwd"}, {"x": kind | 0o777})
    assert "is a link or a device" in refusal(archive)


def test_nothing_is_written_through_a_link_that_came_before(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    link = {"type": tarfile.SYMTYPE, "linkname": str(victim)}
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("d")
        entry.type, entry.linkname = link["type"], link["linkname"]  # type: ignore[assignment]
        archive.addfile(entry)
        entry = tarfile.TarInfo("d/x")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    assert refusal(tmp_path / "a.tar")
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("files", [{"a": b"1", "./a": b"2"}, {"a": b"1", "a/b": b"2"}])
def test_a_name_twice_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    assert "is there twice" in refusal(tar(tmp_path / "a.tar", files))


def test_empty_folders_count_as_members(tmp_path: Path) -> None:
    folders = {f"d{i}": {"type": tarfile.DIRTYPE} for i in range(11)}
    assert "more than 10 files" in refusal(tar(tmp_path / "a.tar", {}, **folders))


def test_a_header_of_any_length_is_not_read(tmp_path: Path) -> None:
    """A tar header may announce a name of gigabytes, which the reader would hold in memory."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT) + bytes(3 * 2**20))
    assert "a header, or a list of names" in refusal(tmp_path / "a.tar.gz", max_bytes=10**8)


def test_a_list_of_any_length_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(9_000):
            archive.writestr(f"{i:0250d}", b"")
    assert "a header, or a list of names" in refusal(tmp_path / "a.zip", max_files=10**6)


def test_xz_does_not_get_the_memory_it_asks_for(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]
    packed = lzma.compress(tar(tmp_path / "plain.tar").read_bytes(), filters=filters)
    (tmp_path / "a.tar.xz").write_bytes(packed)
    assert "damaged" in refusal(tmp_path / "a.tar.xz")


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_archive_is_damaged(name: str, tmp_path: Path) -> None:
    archive = made(tmp_path / name, {"x": bytes(range(256)) * 40})
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert refusal(archive)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, b"PK\3\4", b"\x1f\x8b", b"BZh91AY&SY"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert "damaged, or neither zip nor tar" in refusal(tmp_path / "a.zip")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"x": b"content"})
    content = bytearray(archive.read_bytes())
    for start in (content.find(b"PK\3\4") + 6, content.find(b"PK\1\2") + 8):
        content[start] |= 1  # the flag for encryption
    archive.write_bytes(content)
    assert "damaged" in refusal(archive)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40))
def test_a_plain_name_stays_inside(name: str) -> None:
    try:
        path = plain_name(name)
    except (BadArchive, UnicodeEncodeError):
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert path.parts


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_archives_are_refused_or_unpacked_inside(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    name = data.draw(st.sampled_from(NAMES))
    archive = made(folder / name, {"a": b"1" * 300, "b/c": b"2"})
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content)
    with contextlib.suppress(BadArchive):
        unpacked(archive)
    assert {path.name for path in folder.iterdir()} == {name, "out"}
