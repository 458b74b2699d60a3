"""Images that lie outside of the roots."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from dd_ray.errors import BadInput, Forbidden
from tests.conftest import SetSettings
from tests.connectors.image_data import encoded, picture, read, save, train
from tests.guard.web import Web, send, serving


@pytest.fixture
def root(tmp_path: Path, set_settings: SetSettings) -> Path:
    """The root, with an image `i.png`; beside it `outside` with another."""
    save(tmp_path / "root" / "i.png")
    save(tmp_path / "outside" / "i.png")
    (tmp_path / "root" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "out.png").symlink_to(tmp_path / "outside" / "i.png")
    set_settings(roots=tmp_path / "root")
    return tmp_path / "root"


def outside_of(root: Path) -> list[str]:
    outside = root.parent / "outside"
    paths = [outside / "i.png", outside / "none.png", outside, root / "out" / "i.png"]
    return [*map(str, paths), f"{root}/../outside/i.png", "/etc/passwd", "/etc/nothing"]


def test_a_path_outside_is_forbidden_whether_something_is_there(root: Path) -> None:
    for path in outside_of(root):
        for labelled in (False, True):
            with pytest.raises(Forbidden):
                read(path, labelled=labelled)
            with pytest.raises(Forbidden):
                train(path)
    assert len(read(str(root / "i.png"))) == 1


def test_base64_may_begin_with_a_slash(root: Path) -> None:
    text = base64.b64encode(encoded(picture(), ".jpg")).decode()
    assert text.startswith("/9j/")
    assert len(read(text)) == 1
    with pytest.raises(BadInput, match="not a file of JPEG"):
        read("/9j/file")


@pytest.mark.parametrize(
    "line",
    ["{outside}/i.png", "{root}/out/i.png", "{root}/out.png", "{root}/../outside/none"],
)
def test_a_line_of_a_list_that_leads_out_is_forbidden(root: Path, line: str) -> None:
    listed = root / "list.txt"
    listed.write_text(
        f"{root}/i.png 0\n{line.format(root=root, outside=root.parent / 'outside')} 1\n"
    )
    with pytest.raises(Forbidden):
        train(str(listed))
    with pytest.raises(Forbidden):
        read(str(listed), labelled=True)


def test_a_line_may_lie_beside_its_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, which is looked at first, need not be in a root."""
    monkeypatch.chdir(root.parent / "outside")
    (root / "list.txt").write_text("i.png 0\n")
    dataset, _ = train(str(root / "list.txt"))
    assert dataset.train.paths == [f"{root}/i.png"]
    (root / "list.txt").write_text("../outside/i.png 0\n")
    with pytest.raises(Forbidden):
        train(str(root / "list.txt"))


def test_the_root_folder_of_a_list_is_no_way_out(root: Path) -> None:
    (root / "list.txt").write_text("i.png 0\n")
    with pytest.raises(Forbidden):
        train(str(root / "list.txt"), root_folder=str(root.parent / "outside"))
    assert train(str(root / "list.txt"), root_folder=str(root))


@pytest.mark.parametrize("link", ["set/a/i.png", "set/a", "set/b/deep"])
def test_a_link_in_a_folder_that_leads_out_is_forbidden(root: Path, link: str) -> None:
    save(root / "set" / "b" / "i.png")
    target = root.parent / "outside" / ("i.png" if link.endswith(".png") else "")
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(target)
    with pytest.raises(Forbidden):
        train(str(root / "set"))
    with pytest.raises(Forbidden):
        read(str(root / "set"))


@pytest.fixture
def web(root: Path, set_settings: SetSettings) -> Iterator[Web]:
    """A server with a list of one relative path."""
    set_settings(allowed_hosts="127.0.0.1")
    with serving(lambda handler: send(handler, b"i.png 0\n")) as server:
        yield server


def test_a_list_from_a_url_has_nothing_beside_it(root: Path, web: Web, tmp_path: Path) -> None:
    """Its folder is the server's own, of which messages say nothing either."""
    scratch = tmp_path / "root" / "scratch"
    scratch.mkdir()
    save(scratch / "i.png")
    with pytest.raises(Forbidden):
        train(f"{web.url}/list.txt", scratch=scratch)
    dataset, _ = train(f"{web.url}/list.txt", scratch=scratch, root_folder=str(root))
    assert len(dataset.train) == 1


def test_without_roots_a_list_from_a_url_names_no_scratch_folder(
    web: Web, tmp_path: Path, set_settings: SetSettings
) -> None:
    set_settings(roots="")
    with pytest.raises(BadInput) as refusal:
        train(f"{web.url}/list.txt", scratch=tmp_path)
    assert "no image file i.png (" in refusal.value.message
    assert str(tmp_path) not in refusal.value.message
