"""Services whose models and data are in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dd_ray.api.app import build
from dd_ray.attempts import open_job
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.local import local_server
from dd_ray.services.ports import Point, Work
from dd_ray.services.training import train
from tests.api.client import AsgiHttp, Client
from tests.buckets import Bucket
from tests.conftest import SetSettings
from tests.guard.archives import zipped

CSV = "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40))
SVM = "0 1:1\n1 1:2\n" * 10
INPUT = {"label": "y"}


@pytest.fixture
def client(bucket: Bucket) -> Iterator[Client]:
    http = AsgiHttp(build(local_server()))
    yield Client(http)
    http.close()


def dd(answer: tuple[int, Any]) -> tuple[int, int, str]:
    code, body = answer
    return code, body["status"]["dd_code"], body["status"]["dd_msg"]


def test_a_model_in_a_bucket_is_trained_served_elsewhere_and_cleared(
    client: Client, bucket: Bucket
) -> None:
    url, data = f"{bucket.url}/m", bucket.put("set/t.csv", CSV)
    assert client.create("s", url, mllib={"nclasses": 2})[0] == 201
    code, answer = client.train("s", data, input=INPUT, mllib={"iterations": 5})
    assert (code, answer["body"]["model"]) == (201, {"repository": url})
    assert bucket.names("m/.job-") == []
    assert {"m/0005.model", "m/connector.json", "m/model.json"} <= set(bucket.names("m"))
    assert client.predict("s", "1")[0] == 200
    assert client.create("other", url, mllib={"nclasses": 2})[0] == 201
    code, answer = client.predict("other", data, output={"measure": ["acc"]}, input=INPUT)
    assert code == 200
    assert answer["body"]["measure"]["acc"] > 0.6
    assert client.call("DELETE", "/services/other")[0] == 200
    assert client.call("DELETE", "/services/s?clear=full")[0] == 200
    assert bucket.names("m") == []


def test_a_copy_of_the_model_goes_to_another_bucket(client: Client, bucket: Bucket) -> None:
    client.create("s", f"{bucket.url}/m", mllib={"nclasses": 2})
    output = {"target_repository": f"{bucket.url}/released"}
    assert client.train("s", CSV, input=INPUT, mllib={"iterations": 3}, output=output)[0] == 201
    assert {"released/0003.model", "released/connector.json"} <= set(bucket.names("released"))


def test_data_is_read_as_it_is_from_a_path(client: Client, bucket: Bucket, tmp_path: Path) -> None:
    """A file, all under a prefix, sparse data, and file:// for a path."""
    (tmp_path / "t.csv").write_text(CSV)
    for name in ("set/1.csv", "set/2.csv"):
        bucket.put(name, CSV)
    client.create("s", str(tmp_path / "m"), mllib={"nclasses": 2})
    for data in (f"{bucket.url}/set/1.csv", f"{bucket.url}/set", f"file://{tmp_path}/t.csv"):
        assert client.train("s", data, input=INPUT, mllib={"iterations": 1})[0] == 201, data
        code, answer = client.predict("s", data)
        count = 80 if data.endswith("set") else 40
        assert (code, len(answer["body"]["predictions"])) == (200, count), data
    sparse = bucket.put("t.svm", SVM)
    mllib, given = {"nclasses": 2}, {"connector": "svm"}
    assert client.create("v", str(tmp_path / "v"), mllib=mllib, input=given)[0] == 201
    assert client.train("v", sparse, mllib={"iterations": 1})[0] == 201
    assert client.predict("v", sparse)[0] == 200


def test_a_service_starts_from_an_archive_in_a_bucket(
    client: Client, bucket: Bucket, tmp_path: Path
) -> None:
    zipped(tmp_path / "m.zip", {"corresp.txt": b"0 cat\n1 dog\n"})
    init = bucket.put("m.zip", (tmp_path / "m.zip").read_bytes())
    model = {"repository": f"{bucket.url}/m", "create_repository": True, "init": init}
    parameters = {"input": {"connector": "csv"}, "mllib": {"nclasses": 2}}
    call = {"mllib": "xgboost", "parameters": parameters, "model": model}
    assert client.call("PUT", "/services/s", call)[0] == 201
    assert bucket.get("m/corresp.txt") == b"0 cat\n1 dog\n"


def test_refusals_name_the_field_and_the_reason(
    client: Client, bucket: Bucket, tmp_path: Path, set_settings: SetSettings
) -> None:
    set_settings(roots=f"{bucket.url}:s3://b-none:{tmp_path}")
    code, dd_code, message = dd(client.create("s", "s3://b-none/m", mllib={"nclasses": 2}))
    assert (code, dd_code) == (400, 1006)
    assert "destination model directory s3://b-none/m" in message
    assert "there is no such bucket" in message
    code, dd_code, message = dd(client.create("s", "s3://", mllib={"nclasses": 2}))
    assert (code, dd_code) == (400, 1006)
    assert "model.repository: 's3://': expected s3://BUCKET/PREFIX" in message
    assert client.create("s", "s3://elsewhere/m", mllib={"nclasses": 2})[0] == 403
    client.create("s", str(tmp_path / "m"), mllib={"nclasses": 2})
    code, dd_code, message = dd(client.train("s", f"{bucket.url}/no.csv", input=INPUT))
    assert (code, dd_code) == (400, 1005)
    assert f"{bucket.url}/no.csv: no such object" in message
    assert client.train("s", "s3://elsewhere/t.csv", input=INPUT)[0] == 403
    client.train("s", CSV, input=INPUT, mllib={"iterations": 1})
    assert client.predict("s", "s3://elsewhere/t.csv")[0] == 403
    code, dd_code, message = dd(client.predict("s", f"{bucket.url}/no.csv"))
    assert (code, dd_code) == (400, 1005)


class Killed(BaseException):
    """Ends an attempt as a killed process ends, but for what is in memory."""


@pytest.mark.parametrize("save_period", [0, 2])
def test_another_machine_goes_on_from_the_last_checkpoint(bucket: Bucket, save_period: int) -> None:
    """After each report the first attempt is ended; the second gives the model of one unbroken."""
    bucket.put("t.csv", CSV)
    models = []
    for at in (None, 2, 4):
        given = _work(f"{bucket.url}/m{at}", f"{bucket.url}/t.csv", save_period)
        begun: list[Any] = []

        def report(point: Point, at: int | None = at, begun: list[Any] = begun) -> None:
            begun += [point["begin"]] if "begin" in point else []
            if len(begun) == 1 and point.get("iteration") == at and at is not None:
                raise Killed

        open_job(given.definition.repository, "k")
        for attempt in (1, 2):
            try:
                train(
                    replace(given, attempt=attempt),
                    report=report,
                    stopped=lambda: False,
                    clock=lambda: 0.0,
                )
            except Killed:
                continue
            break
        assert begun == ([None] if at is None else [None, at])
        models.append(bucket.get(f"m{at}/0005.model"))
    assert len(set(models)) == 1


def _work(url: str, data: str, save_period: int) -> Work:
    from dd_ray.repository import Repository

    Repository.open(url, create=True)
    mllib = {"nclasses": 2, "iterations": 5, "save_period": save_period}
    mllib["booster_params"] = {"subsample": 0.7, "seed": 1}
    definition = ServiceDefinition(
        name="s",
        mllib="xgboost",
        connector="csv",
        type="supervised",
        description="",
        repository=url,
        parameters={"input": {"connector": "csv"}},
    )
    call = {"parameters": {"input": INPUT, "mllib": mllib}, "data": [data]}
    return Work(definition=definition, job=1, key="k", attempt=1, call=call, checkpoint_s=0.0)
