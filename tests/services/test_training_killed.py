"""Trainings that are killed at any of their writes: the next attempt ends as one unbroken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "tests.services.dying"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("mllib", "how", "step"),
    [("xgboost", "kill", 1), ("xgboost", "sleep", 2), ("torch", "kill", 3), ("torch", "sleep", 7)],
)
def test_at_every_write(tmp_path: Path, iris_csv: str, mllib: str, how: str, step: int) -> None:
    """A killed process, and one that sleeps until the next attempt has ended, change nothing.

    Among the writes are those after a checkpoint before its marker, after a result before it was
    told, and all that a process that is not dead may still have under way.
    """
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, str(tmp_path), iris_csv, mllib, how, str(step)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["writes"] > 20
    assert result["measure"]["acc"] > 0
    assert result["wrong"] == []
