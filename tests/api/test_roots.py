"""Paths in calls to a server that keeps to its roots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dd_ray.api.app import build
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client
from tests.conftest import SetSettings


def forbidden(what: str) -> tuple[int, Any]:
    """The answer for what leads out, whatever is there."""
    text = f"{what}: expected in a folder that this server opens to calls (DD_RAY_ROOTS), not among"
    status = {"code": 403, "msg": "Forbidden", "dd_code": 403, "dd_msg": f"{text} its own files"}
    return 403, {"status": status}


CSV = "a,y\n1,0\n2,1\n3,0\n4,1\n"
SVM = "0 1:1\n1 1:2\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A root, and a folder beside it with the same files."""

    root: Path
    outside: Path
    client: Client


@pytest.fixture
def place(tmp_path: Path, set_settings: SetSettings) -> Iterator[Place]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "t.csv").write_text(CSV)
        (folder / "t.svm").write_text(SVM)
    (root / "out").symlink_to(outside)
    (root / "out.csv").symlink_to(outside / "t.csv")
    set_settings(roots=root)
    http = AsgiHttp(build(local_server()))
    yield Place(root, outside, Client(http))
    http.close()


def outside_of(place: Place, name: str) -> list[str]:
    """Ways to say where a file is that lies outside, and where one would be."""
    return [
        str(place.outside / name),
        str(place.outside / f"none-{name}"),
        f"{place.root}/../outside/{name}",
        f"{place.root}/out/{name}",
        f"{place.root}/out/none-{name}",
        f"/etc/none-{name}",
        "/etc/passwd",
        "/proc/self/environ",
    ]


def service(place: Place, name: str, connector: str = "csv") -> None:
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": connector}, "mllib": {"nclasses": 2}},
        "model": {"repository": str(place.root / name), "create_repository": True},
    }
    code, answer = place.client.call("PUT", f"/services/{name}", call)
    assert code == 201, answer


def test_a_repository_lies_in_a_root(place: Place) -> None:
    for path in [*outside_of(place, "model"), str(place.outside), "relative", "."]:
        for create in (True, False):
            call = {
                "mllib": "xgboost",
                "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}},
                "model": {"repository": path, "create_repository": create},
            }
            assert place.client.call("PUT", "/services/s", call) == forbidden("model.repository")
    assert not (place.outside / "model").exists()
    service(place, "s")


@pytest.mark.parametrize(("connector", "file"), [("csv", "t.csv"), ("svm", "t.svm")])
def test_data_lies_in_a_root(place: Place, connector: str, file: str) -> None:
    service(place, "s", connector)
    given: dict[str, Any] = {"input": {"label": "y"}, "mllib": {"iterations": 1}}
    for path in outside_of(place, file):
        assert place.client.train("s", path, **given) == forbidden("data")
        assert place.client.train("s", str(place.root / file), path, **given) == forbidden("data")
    assert place.client.train("s", str(place.root / file), **given)[0] == 201
    for path in outside_of(place, file):
        assert place.client.predict("s", path) == forbidden("data")
    assert place.client.predict("s", str(place.root / file))[0] == 200


def test_a_forbidden_path_of_a_job_is_its_error(place: Place) -> None:
    service(place, "s")
    place.client.train("s", str(place.outside / "t.csv"), blocking=False, input={"label": "y"})
    code, answer = place.client.call("GET", "/train?service=s&job=1&timeout=20")
    assert (code, answer["head"]["status"]) == (200, "error")
    assert answer["body"]["Error"] == forbidden("data")[1]["status"]


def test_files_of_a_folder_that_lead_out_are_not_read(place: Place) -> None:
    service(place, "s")
    given: dict[str, Any] = {"input": {"label": "y"}, "mllib": {"iterations": 1}}
    refused = forbidden("a file of a folder in data")
    assert place.client.train("s", str(place.root), **given) == refused
    (place.root / "out.csv").unlink()
    assert place.client.train("s", str(place.root), **given)[0] == 201


def test_rows_in_the_call_are_no_paths(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a file of that name lies in the server's working directory."""
    monkeypatch.chdir(place.outside)
    (place.outside / "1").write_text(CSV)
    service(place, "s")
    assert place.client.train("s", CSV, input={"label": "y"}, mllib={"iterations": 1})[0] == 201
    assert place.client.predict("s", "1")[0] == 200


def test_the_model_is_copied_to_a_root_only(place: Place) -> None:
    service(place, "s")
    for target in (place.outside / "copy", place.root / "out" / "copy"):
        code, answer = place.client.train(
            "s",
            CSV,
            input={"label": "y"},
            mllib={"iterations": 1},
            output={"target_repository": str(target)},
        )
        assert (code, answer) == forbidden("parameters.output.target_repository")
    assert not (place.outside / "copy").exists()


def test_templates_are_built_in_so_that_their_folder_is_any(place: Place) -> None:
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}},
        "model": {
            "repository": str(place.root / "s"),
            "create_repository": True,
            "templates": str(place.outside),
        },
    }
    assert place.client.call("PUT", "/services/s", call)[0] == 201


@pytest.mark.parametrize("clear", ["full", "dir", "lib"])
def test_nothing_is_cleared_outside(place: Place, clear: str) -> None:
    """A repository that was inside when its service was created, and leads elsewhere now."""
    service(place, "s")
    (place.outside / "0001.model").write_text("theirs")
    before = sorted(path.name for path in place.outside.iterdir())
    (place.root / "s").rename(place.root / "moved")
    (place.root / "s").symlink_to(place.outside)
    assert place.client.call("DELETE", f"/services/s?clear={clear}") == forbidden(
        "model.repository"
    )
    assert sorted(path.name for path in place.outside.iterdir()) == before
    assert place.client.call("DELETE", "/services/s")[0] == 200


@pytest.mark.parametrize("clear", ["full", "dir"])
def test_a_folder_that_was_there_is_not_cleared(place: Place, clear: str) -> None:
    theirs = place.root / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    service(place, "theirs")
    code, answer = place.client.call("DELETE", f"/services/theirs?clear={clear}")
    assert (code, answer["status"]["dd_code"]) == (500, 1007)
    assert "there were files in it before dd-ray used it" in answer["status"]["dd_msg"]
    assert place.client.call("GET", "/services/theirs")[0] == 200
    assert place.client.call("DELETE", "/services/theirs?clear=lib")[0] == 200
    assert (theirs / "thesis.txt").exists()


def test_our_own_folder_is_cleared(place: Place) -> None:
    for clear in ("full", "dir"):
        service(place, "ours")
        place.client.train("ours", CSV, input={"label": "y"}, mllib={"iterations": 1})
        assert place.client.call("DELETE", f"/services/ours?clear={clear}")[0] == 200
        left = list((place.root / "ours").iterdir()) if (place.root / "ours").exists() else None
        assert left == ([] if clear == "full" else None)


def test_files_of_a_repository_that_lead_out_are_not_read(place: Place) -> None:
    service(place, "s")
    place.client.train("s", CSV, input={"label": "y"}, mllib={"iterations": 1})
    place.client.call("DELETE", "/services/s")
    model = place.root / "s" / "0001.model"
    model.rename(place.outside / "0001.model")
    model.symlink_to(place.outside / "0001.model")
    service(place, "s")
    code, answer = place.client.predict("s", "1")
    assert (code, answer["status"]["dd_code"]) == (500, 1007)
    assert "no model in" in answer["status"]["dd_msg"]
