"""GET /jobs."""

from __future__ import annotations

import pytest

from tests.api.client import Client
from tests.api.fake_server import FakeServer


def test_what_is_asked_for(asking: Client, fake: FakeServer) -> None:
    for query in ("", "?service=S&max=5", "?max="):
        assert asking.call("GET", f"/jobs{query}")[0] == 200
    assert fake.calls == [("jobs", "", 100), ("jobs", "S", 5), ("jobs", "", 100)]


@pytest.mark.parametrize("most", ["0", "-1", "x"])
def test_a_list_of_no_length_is_refused(asking: Client, fake: FakeServer, most: str) -> None:
    code, answer = asking.call("GET", f"/jobs?max={most}")
    assert (code, answer["status"]["dd_code"]) == (400, 400)
    assert "max" in answer["status"]["dd_msg"]
    assert fake.calls == []


def test_a_job_of_a_service_in_any_case(trained: Client) -> None:
    answer = trained.call("GET", "/jobs?service=FLOWERS")[1]
    assert answer["head"] == {"method": "/jobs"}
    (item,) = answer["body"]["jobs"]
    assert (item["service"], item["job"], item["status"]) == ("flowers", None, "finished")
    assert item["ended"] >= item["accepted"]
    assert item["measure"]
    assert trained.call("GET", "/jobs?service=other")[1]["body"]["jobs"] == []
