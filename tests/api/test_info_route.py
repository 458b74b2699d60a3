"""/info."""

from __future__ import annotations

import pytest

from tests.api.client import Client
from tests.api.fake_server import FakeServer


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", False),
        ("?", False),
        ("?status=false", False),
        ("?status=0", False),
        ("?status=true", True),
        ("?status=True", True),
        ("?status=TRUE", True),
        ("?status=1", True),
        ("?status=0&status=1", True),
        ("?other=x", False),
    ],
)
def test_status_is_a_flag(asking: Client, fake: FakeServer, query: str, status: bool) -> None:
    code, answer = asking.call("GET", f"/info{query}")
    assert (code, answer["status"]) == (200, {"code": 200, "msg": "OK"})
    assert fake.calls == [("info", status)]


@pytest.mark.parametrize("value", ["yes", "2", "tru", "-1", "%C3%A9"])
def test_any_other_status_is_400(asking: Client, fake: FakeServer, value: str) -> None:
    code, answer = asking.call("GET", f"/info?status={value}")
    assert (code, answer["status"]["dd_code"]) == (400, 400)
    assert answer["status"]["dd_msg"].startswith("status: expected true or false")
    assert fake.calls == []
