"""Errors say what the caller did, and nothing of the machine's inside."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dd_ray
from dd_ray.api.app import _ROUTES, build
from dd_ray.errors import ApiError, InternalError, LibraryError
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client
from tests.api.fake_server import FakeServer
from tests.conftest import SetSettings

INSIDE = re.compile(
    r"Traceback|File \\?\"|line \d+, in |\.py\b|site-packages|"
    + "|".join(map(re.escape, (sys.prefix, sys.base_prefix, str(Path(dd_ray.__file__).parent))))
)
SECRET = "the-key-of-this-server"

CALLS = [
    (method, path.replace("{name}", "s"))
    for method, path, _ in _ROUTES
    if path != "/healthz"  # which asks nobody
]


def stack() -> str:
    try:
        open("/nowhere/at/all")  # noqa: SIM115
    except OSError:
        return traceback.format_exc()
    raise AssertionError


FAILURES: list[BaseException] = [
    RuntimeError(f"secret {SECRET}"),
    KeyError(SECRET),
    MemoryError(SECRET),
    RecursionError(SECRET),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    InternalError(f"failed in {dd_ray.__file__}"),
    LibraryError(stack()),
    LibraryError(f"the training failed: OSError: {sys.prefix}/lib/python3.11/x.py is not there"),
    ApiError(f"a b {Path(dd_ray.__file__).parent}/services/state.py:12"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_no_route_shows_its_inside(
    asking: Client, fake: FakeServer, method: str, path: str, failure: BaseException
) -> None:
    fake.error = failure
    body = b'{"service":"s","data":["1"]}'
    answer = asking.http.request(method, f"{path}?service=s&job=1", content=body)
    assert answer.status_code == 500
    if method != "HEAD":
        assert answer.json()["status"]["dd_code"] in (500, 1007)
        assert not INSIDE.search(answer.text), answer.text
        assert SECRET not in answer.text


@pytest.fixture
def real(tmp_path: Path, set_settings: SetSettings) -> Iterator[Client]:
    set_settings(home=tmp_path / "home", api_key=SECRET)
    http = AsgiHttp(build(local_server()))
    yield Client(http)
    http.close()


def test_provoked_failures_of_a_real_server_show_nothing(real: Client, tmp_path: Path) -> None:
    texts = [repr(answer) for answer in provoked(real, tmp_path)]
    assert len(texts) > 20
    for text in texts:
        assert not INSIDE.search(text), text
        assert SECRET not in text


def provoked(client: Client, folder: Path) -> Iterator[Any]:
    """What a server answers to calls that go wrong in as many places as we know."""
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "ragged.csv").write_text("a,y\n1\n2,3,4\n")
    (folder / "text.csv").write_text("a,y\nx,0\n")
    given: dict[str, Any] = {"input": {"label": "y"}}
    for path in ("/proc/self/environ", "/etc/shadow", "/nowhere", str(folder), "http://x.invalid/"):
        yield client.create("s", path, mllib={"nclasses": 2})
    yield client.create("s", str(folder / "m"), mllib={"nclasses": 2})
    for data in (
        *("binary", "ragged.csv", "text.csv", "none.csv", "."),
        *("../../../../proc/self/environ", "../../../../etc/passwd"),
    ):
        yield client.train("s", str(folder / data), **given)
        yield client.predict("s", str(folder / data), **given)
    for data in ("http://127.0.0.1:9/", "http://[::1", "https://x.invalid/", "file:///etc/passwd"):
        yield client.train("s", data, **given)
    for parameters in (
        {"mllib": {"objective": "none"}},
        {"mllib": {"booster_params": {"eta": "a"}}},
        {"output": {"measure": ["none"], "target_repository": "/proc/1"}},
        {"input": {"separator": "\0", "label": "y"}},
    ):
        yield client.train("s", "a,y\n1,0\n2,1", **{**given, **parameters})
    yield client.train("s", "a,y\n1,0\n2,1", blocking=False, **given)
    yield client.call("GET", "/train?service=s&job=1&timeout=20")
    for name in ("0001.model", "connector.json", "corresp.txt"):
        broken = folder / f"broken-{name}"
        broken.mkdir()
        (broken / name).write_bytes(b'{"a"\xff broken')
        yield client.create(f"b-{name}", str(broken), mllib={"nclasses": 2})
        yield client.predict(f"b-{name}", "1")
    for template in ("{{#a}}", "{{=x", "{{#l}}" * 50):
        yield client.predict("s", "1", output={"template": template})


def test_the_key_is_not_shown_by_settings(real: Client, caplog: pytest.LogCaptureFixture) -> None:
    from dd_ray.settings import Settings, settings

    assert settings().api_key == SECRET
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().info("settings: %s %r", settings(), settings())
    assert SECRET not in caplog.text
    short = SECRET[:9]
    with pytest.raises(ValueError, match="DD_RAY_API_KEY") as refusal:
        Settings.from_env({"DD_RAY_API_KEY": short})
    assert short not in "".join(traceback.format_exception(refusal.value))
