"""What a worker imports when it starts, and when nothing has come for it to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dd_ray.cluster.flags import AHEAD, LATER

PROGRAM = """
import sys, threading
from dd_ray.cluster.idle_imports import import_ahead, take

import_ahead()
print("colorsys" in sys.modules)
{then}
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(60)
print("wave" in sys.modules)
"""


@pytest.mark.parametrize(("then", "later"), [("pass", "True"), ("take()", "False")])
def test_a_worker_that_has_something_to_do_imports_no_more(then: str, later: str) -> None:
    env = os.environ | {AHEAD: "no_such_extra colorsys", LATER: "no_such_extra wave"}
    program = PROGRAM.format(then=then)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ended.stdout.split() == ["True", later]
