"""`model.init`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dd_ray.errors import BadParameter, Forbidden
from dd_ray.repository import Repository
from dd_ray.services.archive import ENDINGS, install
from tests.conftest import SetSettings
from tests.guard.archives import tar, zipped
from tests.guard.web import Web, send, serving

FILES = {"corresp.txt": b"0 cat\n", "sub/model.pt": b"weights"}
INSTALLING = r"failed installing model from archive, check 'init' argument to model: "


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.open(str(tmp_path / "repository"), create=True)


@pytest.fixture
def web(tmp_path: Path, loopback_allowed: None) -> Iterator[Web]:
    """A server of the test's folder."""

    def answer(handler: object) -> None:
        path = tmp_path / handler.path.partition("?")[0].lstrip("/")  # type: ignore[attr-defined]
        if path.is_file():
            send(handler, path.read_bytes())  # type: ignore[arg-type]
        else:
            send(handler, b"none", 404)  # type: ignore[arg-type]

    with serving(answer) as server:
        yield server


def content(repository: Repository) -> dict[str, bytes]:
    """All files of a repository but the mark that it is ours."""
    return {
        str(path.relative_to(repository.path)): path.read_bytes()
        for path in sorted(repository.path.rglob("*"))
        if path.is_file() and path.name != ".dd-ray"
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_path_is_unpacked_whatever_the_format(
    ending: str, tmp_path: Path, repository: Repository
) -> None:
    made = tmp_path / f"m{ending.replace('tgz', 'gz')}"
    (zipped if ending == ".zip" else tar)(made, FILES)
    archive = made.rename(tmp_path / f"m{ending}")
    assert install(str(archive), repository) is None
    assert content(repository) == FILES
    assert install(f"file://{archive}", repository) is None
    assert content(repository) == FILES


def test_a_url_is_fetched_and_kept(tmp_path: Path, repository: Repository, web: Web) -> None:
    tar(tmp_path / "m.tar.gz", FILES)
    install(f"{web.url}/m.tar.gz?token=x", repository)
    assert content(repository) == FILES | {"m.tar.gz": (tmp_path / "m.tar.gz").read_bytes()}


def test_an_archive_that_is_there_is_not_fetched_again(
    tmp_path: Path, repository: Repository, web: Web
) -> None:
    tar(tmp_path / "m.tar", FILES)
    for _ in range(2):
        install(f"{web.url}/m.tar", repository)
    assert len(web.asked) == 1
    repository.write("corresp.txt", b"changed")
    install("/nowhere/m.tar", repository)
    assert content(repository)["corresp.txt"] == FILES["corresp.txt"]


def test_parameters_of_its_config_are_returned(tmp_path: Path, repository: Repository) -> None:
    parameters = {"input": {"connector": "csv"}, "mllib": {"nclasses": 4}}
    config = json.dumps({"mllib": "torch", "parameters": parameters}).encode()
    tar(tmp_path / "m.tar", FILES | {"config.json": config})
    assert install(str(tmp_path / "m.tar"), repository) == parameters


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b'{"parameters":1}', b"[" * 10**5, b"\xff"])
def test_a_config_that_is_none_is_refused(
    config: bytes, tmp_path: Path, repository: Repository
) -> None:
    tar(tmp_path / "m.tar", {"config.json": config})
    with pytest.raises(BadParameter, match=r"Failed parsing config file .*/config\.json"):
        install(str(tmp_path / "m.tar"), repository)


@pytest.mark.parametrize(
    ("path", "code", "reason"), [("none.tar", 404, "answered with status 404"), ("", 0, "")]
)
def test_what_cannot_be_fetched_is_1006_with_the_code(
    path: str, code: int, reason: str, repository: Repository, web: Web
) -> None:
    url = f"{web.url}/{path}" if path else "http://127.0.0.2:9/m.tar"
    with pytest.raises(BadParameter) as refusal:
        install(url, repository)
    assert f"failed fetching model archive: {url} with code: {code} (" in refusal.value.dd_msg
    assert reason in refusal.value.dd_msg
    assert content(repository) == {}


def test_a_path_that_is_not_there_is_1006(repository: Repository) -> None:
    with pytest.raises(BadParameter, match=r"failed fetching .*/none\.tar with code: 0"):
        install("/nowhere/none.tar", repository)


def test_a_private_host_is_not_called(repository: Repository) -> None:
    with (
        serving(lambda handler: send(handler, b"x")) as web,
        pytest.raises(BadParameter, match="has no public address"),
    ):
        install(f"{web.url}/m.tar", repository)
    assert web.asked == []


@pytest.mark.parametrize(
    "files",
    [
        {"good": b"1", "../evil": b"2"},
        {"good": b"1", ".dd-ray": b"mine"},
        {"good": b"1", ".job-1/desk": b"x"},
        {"good": b"1", ".staged-connector.json": b"{}"},
    ],
)
def test_a_bad_archive_leaves_nothing(
    files: dict[str, bytes], tmp_path: Path, repository: Repository
) -> None:
    tar(tmp_path / "m.tar", files)
    with pytest.raises(BadParameter, match=INSTALLING):
        install(str(tmp_path / "m.tar"), repository)
    assert [path.name for path in repository.path.iterdir()] == [".dd-ray"]


@pytest.mark.parametrize(
    ("setting", "limit", "text"),
    [("max_archive_bytes", 5, "more than 5 bytes"), ("max_archive_files", 1, "more than 1 files")],
)
def test_limits_are_settings(
    setting: str,
    limit: int,
    text: str,
    tmp_path: Path,
    repository: Repository,
    set_settings: SetSettings,
) -> None:
    tar(tmp_path / "m.tar", FILES)
    set_settings(**{setting: limit})
    with pytest.raises(BadParameter, match=f"{text} .DD_RAY_{setting.upper()}"):
        install(str(tmp_path / "m.tar"), repository)
    assert content(repository) == {}


def test_a_download_has_a_limit(
    tmp_path: Path, repository: Repository, web: Web, set_settings: SetSettings
) -> None:
    tar(tmp_path / "m.tar", FILES)
    set_settings(max_download_bytes=100)
    with pytest.raises(BadParameter, match="longer than 100 bytes"):
        install(f"{web.url}/m.tar", repository)
    assert content(repository) == {}


def test_what_is_no_url_is_1006(repository: Repository) -> None:
    with pytest.raises(BadParameter, match=r"'http://\[/m\.tar' is no URL"):
        install("http://[/m.tar", repository)


@pytest.mark.parametrize(
    "init", ["m", "m.rar", "/etc/passwd", "http://x/", "http://x/..", ".dd-ray.tar", "a\nb.tar", ""]
)
def test_the_name_says_that_it_is_an_archive(init: str, repository: Repository) -> None:
    with pytest.raises(BadParameter, match="expected a name that ends in"):
        install(init, repository)


def test_nothing_is_put_into_a_folder_of_somebody_else(tmp_path: Path, web: Web) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "main.py").write_text("theirs")
    tar(tmp_path / "m.tar", FILES)
    theirs = Repository.open(str(folder), create=False)
    for init in (str(tmp_path / "m.tar"), f"{web.url}/m.tar"):
        with pytest.raises(BadParameter, match="expected a new or an empty folder"):
            install(init, theirs)
    assert content(theirs) == {"main.py": b"theirs"}


def test_an_archive_that_somebody_put_there_replaces_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "corresp.txt").write_text("theirs")
    tar(folder / "m.tar", FILES)
    theirs = Repository.open(str(folder), create=False)
    install("m.tar", theirs)
    assert content(theirs)["corresp.txt"] == b"theirs"
    assert content(theirs)["sub/model.pt"] == b"weights"


def test_archives_outside_of_the_roots_are_forbidden(
    tmp_path: Path, set_settings: SetSettings
) -> None:
    tar(tmp_path / "m.tar", FILES)
    repository = Repository.open(str(tmp_path / "root" / "r"), create=True)
    set_settings(roots=tmp_path / "root")
    for init in (tmp_path / "m.tar", tmp_path / "none.tar", repository.path / "../../m.tar"):
        with pytest.raises(Forbidden):
            install(str(init), repository)
    (tmp_path / "m.tar").rename(tmp_path / "root" / "m.tar")
    install(str(tmp_path / "root" / "m.tar"), repository)


def test_folders_in_the_repository_that_lead_out_are_not_written(
    tmp_path: Path, set_settings: SetSettings
) -> None:
    repository = Repository.open(str(tmp_path / "root" / "r"), create=True)
    (tmp_path / "outside").mkdir()
    (repository.path / "sub").symlink_to(tmp_path / "outside")
    tar(tmp_path / "root" / "m.tar", FILES)
    set_settings(roots=tmp_path / "root")
    with pytest.raises(Forbidden):
        install(str(tmp_path / "root" / "m.tar"), repository)
    assert list((tmp_path / "outside").iterdir()) == []
    assert {path.name for path in repository.path.iterdir()} == {".dd-ray", "sub"}
