"""Emptying folders."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from dd_ray.errors import Forbidden, LibraryError
from dd_ray.guard import folders
from tests.conftest import SetSettings


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a file that must survive."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("x")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, a folder and a hidden file."""
    path = tmp_path / "folder"
    (path / "sub" / "deep").mkdir(parents=True)
    for name in ("a", ".hidden", "sub/deep/b"):
        (path / name).write_text("")
    return path


def test_all_goes_and_the_folder_stays(folder: Path) -> None:
    folders.empty(folder)
    assert list(folder.iterdir()) == []
    folders.remove(folder)
    assert not folder.exists()


def test_links_go_and_what_they_lead_to_stays(folder: Path, outside: Path) -> None:
    (folder / "link").symlink_to(outside)
    (folder / "sub" / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "precious")
    (folder / "broken").symlink_to(outside / "nothing")
    os.link(outside / "precious", folder / "hard")
    folders.empty(folder)
    assert list(folder.iterdir()) == []
    assert (outside / "precious").read_text() == "x"


def test_a_folder_that_is_a_link_is_emptied_where_it_leads(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    folders.empty(link)
    assert list(folder.iterdir()) == []


def test_a_folder_swapped_for_a_link_after_the_check_is_not_followed(
    folder: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody with the file system at hand would try: the path was good when it was read."""
    real = os.path.realpath
    good = real(folder)
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(outside)
    monkeypatch.setattr(os.path, "realpath", lambda path: good if path == folder else real(path))
    with pytest.raises(LibraryError, match="failed opening directory"):
        folders.empty(folder)
    assert (outside / "precious").exists()


def test_nothing_is_emptied_outside_of_the_roots(
    folder: Path, outside: Path, tmp_path: Path, set_settings: SetSettings
) -> None:
    (folder / "link").symlink_to(outside)
    set_settings(roots=folder)
    for path in (outside, folder / "link", folder / ".." / "outside", tmp_path):
        with pytest.raises(Forbidden):
            folders.empty(path)
    with pytest.raises(LibraryError, match="a root of DD_RAY_ROOTS"):
        folders.empty(folder)
    folders.empty(folder / "sub")
    assert (outside / "precious").exists()


def test_what_a_system_needs_is_never_emptied(tmp_path: Path, set_settings: SetSettings) -> None:
    set_settings(home=tmp_path / "a" / "home")
    needed = ["/", "/etc", "/usr/local/lib", "/proc/1", "/boot", sys.prefix, f"{sys.prefix}/lib"]
    needed += [str(tmp_path / "a" / "home"), str(tmp_path / "a"), os.path.dirname(tmp_path.anchor)]
    needed += ["/home", str(Path.home().parent), *(entry.pw_dir for entry in pwd.getpwall())]
    for path in needed:
        assert folders.why_needed(Path(os.path.realpath(path))), path
    for path in (tmp_path / "b", tmp_path / "a" / "home" / "models", Path("/data/models/m")):
        assert folders.why_needed(path) is None, path


def test_a_mounted_file_system_is_not_emptied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == str(folder))
    with pytest.raises(LibraryError, match="it is a mount point"):
        folders.empty(folder)
    assert (folder / "a").exists()


def test_a_file_system_mounted_inside_is_not_emptied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount needs rights that tests have not: one folder inside says it is another device."""
    inner = (folder / "sub" / "deep").stat().st_ino
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if found.st_ino != inner:
            return found
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(LibraryError, match="a file system is mounted in it"):
        folders.empty(folder)
    assert (folder / "a").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="failed opening directory"):
        folders.empty(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="failed opening directory"):
        folders.empty(tmp_path / "file")
