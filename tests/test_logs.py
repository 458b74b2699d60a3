"""Log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from dd_ray.logs import ACCESS, REQUEST, set_up
from dd_ray.settings import Settings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    ours = logging.getLogger("dd_ray")
    before = ours.handlers, ours.propagate, ours.level, ACCESS.level
    yield
    ours.handlers, ours.propagate = before[:2]
    ours.setLevel(before[2])
    ACCESS.setLevel(before[3])


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_json_has_the_request_and_its_service(capfd: pytest.CaptureFixture[str]) -> None:
    set_up(Settings.from_env({"DD_RAY_LOG_FORMAT": "json", "DD_RAY_LOG_LEVEL": "info"}))
    token = REQUEST.set("r-1")
    logging.getLogger("dd_ray.x").info("made %s", "s\n2", extra={"service": "s"})
    REQUEST.reset(token)
    try:
        raise ValueError("seven")
    except ValueError:
        logging.getLogger("dd_ray.x").exception("failed")
    first, second = lines(capfd)
    assert first.pop("time")
    assert first == {
        "level": "INFO",
        "logger": "dd_ray.x",
        "message": "made s\n2",
        "request": "r-1",
        "service": "s",
    }
    assert "ValueError: seven" in str(second["stack"])
    assert "request" not in second


def test_only_the_level_and_what_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    set_up(Settings.from_env({}))
    logging.getLogger("dd_ray.x").info("quiet")
    ACCESS.info("GET /info")
    assert capfd.readouterr().err == ""
    logging.getLogger("dd_ray.x").warning("loud")
    assert "WARNING dd_ray.x: loud" in capfd.readouterr().err
    set_up(Settings.from_env({"DD_RAY_ACCESS_LOG": "1"}))
    ACCESS.info("GET /info")
    assert "GET /info" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["DD_RAY_LOG_FORMAT", "DD_RAY_LOG_LEVEL"])
def test_what_is_no_format_or_level_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_env({name: "loud"})
