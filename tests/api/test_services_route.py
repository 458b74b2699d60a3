"""/info and /services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import AsgiHttp, Client

CREATED = (201, {"status": {"code": 201, "msg": "Created"}})


def test_an_empty_server(client: Client) -> None:
    code, answer = client.call("GET", "/info")
    assert code == 200
    assert answer["status"] == {"code": 200, "msg": "OK"}
    assert answer["head"]["method"] == "/info"
    assert answer["head"]["version"] == "0.1"
    assert answer["head"]["services"] == []
    assert all(isinstance(answer["head"][key], str) for key in ("branch", "commit"))


def test_the_life_of_a_service(client: Client, tmp_path: Path) -> None:
    assert client.create("MyServ", str(tmp_path / "m"), mllib={"nclasses": 9}) == CREATED
    code, answer = client.call("GET", "/services/myserv")
    assert code == 200
    assert "head" not in answer
    body = answer["body"]
    assert (body["name"], body["mllib"], body["description"]) == ("myserv", "xgboost", "d")
    assert (body["jobs"], body["mltype"], body["type"]) == ([], "classification", "supervised")
    assert (body["predict"], body["training"]) == (True, False)
    assert body["repository"] == str(tmp_path / "m")
    assert body["parameters"] == {"input": {"connector": "csv"}, "mllib": {"nclasses": 9}}
    assert body["stats"] == {"flops": 0, "params": 0, "data_mem_train": 0, "data_mem_test": 0}
    assert body["service_stats"]["predict_count"] == 0
    assert body["service_stats"]["avg_batch_size"] == -1.0
    services = client.call("GET", "/info")[1]["head"]["services"]
    assert [(s["name"], s["predict"]) for s in services] == [("myserv", True)]
    assert "jobs" not in services[0]
    detailed = client.call("GET", "/info?status=True")[1]["head"]["services"]
    assert detailed[0]["jobs"] == []
    assert client.call("DELETE", "/services/MYSERV") == (
        200,
        {"status": {"code": 200, "msg": "OK"}},
    )
    assert client.call("GET", "/services/myserv")[1]["status"]["dd_code"] == 1002
    assert client.call("GET", "/info")[1]["head"]["services"] == []


def test_a_second_creation_is_1014_before_its_body_is_read(client: Client, tmp_path: Path) -> None:
    client.create("s", str(tmp_path), mllib={"nclasses": 2})
    code, answer = client.call("PUT", "/services/S", raw=b"not json")
    assert code == 409
    assert answer["status"] == {
        "code": 409,
        "msg": "Conflict",
        "dd_code": 1014,
        "dd_msg": "Service already exists: 's'",
    }


def test_exactly_one_of_two_creations_wins(client: Client, tmp_path: Path) -> None:
    parameters = {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}}
    call = {"mllib": "xgboost", "parameters": parameters, "model": {"repository": str(tmp_path)}}
    assert isinstance(client.http, AsgiHttp)
    answers = client.http.together(*[("PUT", "/services/s", call)] * 5)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


def creation(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    call: dict[str, Any] = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 3}},
        "model": {"repository": str(tmp_path)},
    }
    for path, value in changes.items():
        target = call
        *parents, last = path.split("__")
        for parent in parents:
            target = target[parent]
        target[last] = value
    return call


@pytest.mark.parametrize(
    ("changes", "http", "dd_code", "text"),
    [
        ({"mllib": "chainer"}, 404, 1000, "'chainer', expected one of xgboost"),
        ({"mllib": ""}, 404, 1000, "expected one of"),
        ({"mllib": 3}, 400, 400, "mllib: expected a string, got int"),
        ({"mllib": None}, 400, 400, "mllib: expected a string"),
        ({"parameters": None}, 400, 400, "parameters"),
        ({"parameters": []}, 400, 400, "parameters"),
        ({"parameters__input": {}}, 400, 400, "parameters.input.connector"),
        ({"parameters__input__connector": "zip"}, 404, 1004, "'zip', expected one of csv, svm"),
        ({"parameters__input__separator": 1}, 400, 1005, "parameters.input.separator"),
        ({"parameters__mllib": {}}, 400, 1006, "nclasses == 0"),
        ({"parameters__mllib": {"nclasses": -1}}, 400, 1006, "parameters.mllib.nclasses"),
        ({"parameters__mllib": {"nclasses": 2.5}}, 400, 1006, "parameters.mllib.nclasses"),
        ({"parameters__mllib": {"nclasses": "3"}}, 400, 1006, "parameters.mllib.nclasses"),
        ({"parameters__mllib": {"regression": True}}, 400, 1006, "ntargets == 0"),
        ({"parameters__mllib__booster": "tree"}, 400, 1006, "parameters.mllib.booster"),
        ({"parameters__mllib__objective": "multi:softmax"}, 400, 1006, "use multi:softprob"),
        ({"parameters__mllib__objective": "x:y"}, 400, 1006, "expected one of multi:softprob"),
        ({"parameters__mllib__objective": "binary:logistic"}, 400, 1006, "expected 2"),
        ({"parameters__output": {"best": "all"}}, 400, 1006, "parameters.output.best"),
        ({"model": {}}, 400, 1006, "empty repository"),
        ({"model": {"repository": 3}}, 400, 1006, "model.repository"),
        ({"model": {"repository": "/no/such/folder"}}, 400, 1006, "create_repository"),
        ({"model": {"repository": "/etc/hostname"}}, 400, 1006, "file exists with same name"),
        ({"model": {"repository": "/etc/hostname/x", "create_repository": True}}, 400, 1006, "not"),
        (
            {"model": {"repository": "/tmp", "init": "x.rar"}},
            400,
            1006,
            "expected a name that ends in",
        ),
        ({"description": 5}, 400, 400, "description"),
    ],
)
def test_a_bad_creation_is_refused_and_leaves_no_service(
    client: Client, tmp_path: Path, changes: dict[str, Any], http: int, dd_code: int, text: str
) -> None:
    code, answer = client.call("PUT", "/services/s", creation(tmp_path, **changes))
    assert (code, answer["status"]["dd_code"]) == (http, dd_code), answer
    assert answer["status"]["code"] == http
    assert text in answer["status"]["dd_msg"]
    assert client.call("GET", "/services/s")[0] == 404
    assert client.call("PUT", "/services/s", creation(tmp_path)) == CREATED


def test_unknown_and_null_parameters_are_ignored(client: Client, tmp_path: Path) -> None:
    call = creation(tmp_path)
    call["parameters"]["mllib"] |= {"gpu": True, "engine": "CUDNN", "layers": [], "db": None}
    call["parameters"]["input"] |= {"interp": None, "labels": "misspelt", "width": 224}
    call["parameters"]["output"] = {"bbox": True, "confidence_threshold": None}
    call["from_repository"] = None
    assert client.call("PUT", "/services/s", call) == CREATED


def test_numbers_may_be_written_either_way(client: Client, tmp_path: Path) -> None:
    call = creation(tmp_path, parameters__mllib={"nclasses": 3.0, "booster_params": {"eta": 1}})
    assert client.call("POST", "/services/s", call) == CREATED


def test_the_creation_call_is_kept_when_asked(client: Client, tmp_path: Path) -> None:
    call = creation(tmp_path, parameters__output={"store_config": True})
    client.call("PUT", "/services/s", call)
    assert json.loads((tmp_path / "config.json").read_text()) == call
    assert json.loads((tmp_path / "model.json").read_text()) == call
    assert client.call("DELETE", "/services/s")[0] == 200
    (tmp_path / "config.json").unlink()
    client.call("PUT", "/services/s", creation(tmp_path))
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("clear", "kept"),
    [
        ("", {"0003.model", "corresp.txt", "sub/x.model", "note"}),
        ("?clear=mem", {"0003.model", "corresp.txt", "sub/x.model", "note"}),
        ("?clear=index", {"0003.model", "corresp.txt", "sub/x.model", "note"}),
        ("?clear=anything", {"0003.model", "corresp.txt", "sub/x.model", "note"}),
        ("?clear=lib", {"corresp.txt", "sub/x.model", "note", "model.json"}),
        ("?clear=full", set()),
        ("?clear=dir", None),
    ],
)
def test_clear_removes_what_it_says(
    trained: Client, tmp_path: Path, clear: str, kept: set[str] | None
) -> None:
    folder = tmp_path / "flowers"
    (folder / "sub").mkdir()
    (folder / "sub" / "x.model").write_text("")
    (folder / "note").write_text("")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    (folder / "link").symlink_to(outside)
    assert trained.call("DELETE", f"/services/flowers{clear}")[0] == 200
    assert (outside / "precious").exists()
    assert folder.exists() == (kept is not None)
    if kept is not None:
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert kept <= found
        if not kept:
            assert list(folder.iterdir()) == []
        assert ("0003.model" in found) == ("0003.model" in kept)
    assert trained.call("DELETE", "/services/flowers")[1]["status"]["dd_code"] == 1002


def test_a_service_is_kept_when_clearing_fails(trained: Client, tmp_path: Path) -> None:
    import shutil

    shutil.rmtree(tmp_path / "flowers")
    code, answer = trained.call("DELETE", "/services/flowers?clear=full")
    assert (code, answer["status"]["dd_code"]) == (500, 1007)
    assert trained.call("GET", "/services/flowers")[0] == 200
    assert trained.call("DELETE", "/services/flowers")[0] == 200


def test_a_delete_body_deletes_nothing(trained: Client, tmp_path: Path) -> None:
    code, _ = trained.call("DELETE", "/services/flowers", {"clear": "full"})
    assert code == 200
    assert (tmp_path / "flowers" / "0003.model").exists()


@pytest.mark.parametrize("name", ["very_long_😀_MAJ", "a b", "123", "true", "x" * 128])
def test_names_may_be_any_utf8(client: Client, tmp_path: Path, name: str) -> None:
    assert client.create(name, str(tmp_path), mllib={"nclasses": 2}) == CREATED
    code, answer = client.call("GET", f"/services/{name}")
    assert code == 200
    assert answer["body"]["name"] == name.replace("MAJ", "maj")
    code, answer = client.call("GET", f"/train?service={name}&job=1")
    assert answer["status"]["dd_code"] == 1003


@pytest.mark.parametrize("name", ["x" * 129, "a%00b", "a%0Ab"])
def test_other_names_are_refused(client: Client, tmp_path: Path, name: str) -> None:
    code, answer = client.create(name, str(tmp_path), mllib={"nclasses": 2})
    assert (code, answer["status"]["dd_code"]) == (400, 400)
