"""GET /healthz and GET /readyz."""

from __future__ import annotations

from tests.api.client import Client
from tests.api.fake_server import FakeServer


def test_live_asks_nobody(asking: Client, fake: FakeServer) -> None:
    assert asking.call("GET", "/healthz") == (200, {"status": {"code": 200, "msg": "OK"}})
    assert fake.calls == []


def test_head_is_for_balancers(asking: Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert asking.http.request("HEAD", path).status_code == 200


def test_services_are_counted(trained: Client, tmp_path: object) -> None:
    trained.create("untrained", f"{tmp_path}/untrained", mllib={"nclasses": 3})
    code, answer = trained.call("GET", "/readyz")
    assert code == 200
    assert answer["body"] == {
        "state": True,
        "services": {"count": 2, "ready": 1, "starting": 0},
        "ready": True,
        "missing": [],
    }


def test_a_service_says_whether_it_can_predict(trained: Client, tmp_path: object) -> None:
    trained.create("untrained", f"{tmp_path}/untrained", mllib={"nclasses": 3})
    ready = trained.call("GET", "/services/flowers")[1]["body"]
    assert (ready["ready"], [each["ready"] for each in ready["replicas"]]) == (True, [True])
    assert "problem" not in ready
    other = trained.call("GET", "/services/untrained")[1]["body"]
    assert other["ready"] is False
    assert "no model" in other["problem"]
    assert other["replicas"][0] == {
        "name": "untrained",
        "ready": False,
        "problem": other["problem"],
    }
    listed = trained.call("GET", "/info?status=true")[1]["head"]["services"]
    assert {item["name"]: item["ready"] for item in listed} == {"flowers": True, "untrained": False}
    assert "ready" not in trained.call("GET", "/info")[1]["head"]["services"][0]


def test_metrics_are_text_for_prometheus(trained: Client) -> None:
    row = "5.1,3.5,1.4,0.2"
    assert trained.predict("flowers", row, row)[0] == 200
    answer = trained.http.request("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'dd_ray_predict_rows_total{service="flowers"} 2' in lines
    assert 'dd_ray_predict_batches_total{service="flowers"} 1' in lines
    assert 'dd_ray_jobs{status="finished"} 1' in lines
