"""Which paths calls may reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from dd_ray.errors import Forbidden
from dd_ray.guard.paths import allowed, check
from tests.conftest import SetSettings


@pytest.fixture
def root(tmp_path: Path, set_settings: SetSettings) -> Path:
    """The one root, beside a folder `other` with a file."""
    (tmp_path / "root").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("")
    set_settings(roots=tmp_path / "root")
    return tmp_path / "root"


def test_without_roots_any_path_will_do(tmp_path: Path) -> None:
    assert allowed(tmp_path)
    assert allowed("/nowhere/at/all")
    assert allowed("relative")


def test_paths_are_judged_by_where_they_lead(root: Path) -> None:
    (root / "in").symlink_to(root / "model")
    (root / "out").symlink_to(root.parent / "other")
    inside = ["", "x", "a/../b", "in/x", "./x", "../root/x"]
    outside = ["..", "../other/x", "a/../../other", "out", "out/x", "out/none", "../rooted", "x\0"]
    assert [name for name in inside if not allowed(f"{root}/{name}")] == []
    assert [name for name in outside if allowed(f"{root}/{name}")] == []


def test_a_relative_path_is_relative_to_the_working_directory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert allowed("x")
    assert not allowed("../other/x")
    monkeypatch.chdir(root.parent)
    assert not allowed("x")


def test_several_roots_and_a_root_that_is_a_link(tmp_path: Path, set_settings: SetSettings) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    set_settings(roots=f"{tmp_path / 'a'}:{tmp_path / 'link'}")
    reachable = [name for name in ("a", "b", "c", "link") if allowed(tmp_path / name / "x")]
    assert reachable == ["a", "b", "link"]


def test_a_refusal_says_nothing_of_the_path(root: Path) -> None:
    said = set()
    for path in (root.parent / "other" / "x", root.parent / "other" / "none"):
        with pytest.raises(Forbidden) as refusal:
            check(path, "data")
        said.add(refusal.value.dd_msg)
    (text,) = said
    assert text.startswith("data: expected in a folder that this server opens")


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/sys/kernel", "/dev/zero", "/proc/../proc/1", "//dev/null"]
)
def test_processes_and_devices_are_closed_with_and_without_roots(
    path: str, set_settings: SetSettings
) -> None:
    assert not allowed(path)
    set_settings(roots="/")
    assert allowed("/etc")
    assert not allowed(path)


def test_the_servers_own_files_are_closed(
    tmp_path: Path, set_settings: SetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    set_settings(home=tmp_path / "state")
    for name in (".ray/auth_token", "token", "state", "state/jobs.sqlite"):
        assert not allowed(tmp_path / name), name
    assert allowed(tmp_path / "tokens")
    set_settings(roots=tmp_path)
    assert not allowed(tmp_path / ".ray/auth_token")
    set_settings(roots=f"{tmp_path}:{tmp_path / 'state' / 'models'}")
    assert allowed(tmp_path / "state" / "models" / "m")
    assert not allowed(tmp_path / "state" / "jobs.sqlite")
