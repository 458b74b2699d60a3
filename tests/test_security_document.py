"""SECURITY.md names tests and settings that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dd_ray.settings import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text()

TESTS = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)
ROWS = [
    line for line in TEXT.partition("## Doors")[2].partition("\n## ")[0].splitlines() if "|" in line
]
NAMED = set(re.findall(r"`DD_RAY_(\w+)`", TEXT))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (ROOT / file).read_text()


def test_each_door_has_a_guard_and_a_test() -> None:
    assert len(ROWS) > 20
    for row in ROWS[2:]:
        door, guard, tests = (cell.strip() for cell in row.strip("|").split("|"))
        assert door
        assert guard
        assert "::test_" in tests, door


def test_settings_that_are_named_are_there() -> None:
    assert {name.lower() for name in NAMED} <= {*Settings.model_fields, "home"}


def test_limits_are_named() -> None:
    limits = {name.upper() for name in Settings.model_fields if name.startswith("max_")}
    assert limits <= NAMED
