"""When a worker is started in place of one that was taken."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import psutil
import pytest

from dd_ray.cluster.flags import AHEAD
from dd_ray.cluster.warm import _MODULES, has_idle_worker, until_idle


def test_waits_until_a_cpu_is_idle_for_a_while() -> None:
    seen = iter([2.0, 1.9, 0.8, 0.2, 1.0, 0.8, 1.9, 1.9, 0.0])
    asyncio.run(until_idle(lambda: next(seen), within_s=60))
    assert next(seen) == 0.0  # and no longer


def test_does_not_wait_for_ever() -> None:
    looks = 0

    def busy() -> float:
        nonlocal looks
        looks += 1
        return 0.1

    began = time.monotonic()
    asyncio.run(until_idle(busy, within_s=1))
    assert looks >= 2
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("title", "modules", "found"),
    [
        ("ray::IDLE", _MODULES["xgboost"], True),
        ("python default_worker.py", _MODULES["xgboost"], True),  # it is starting
        ("ray::IDLE", _MODULES["torch"], False),
        ("ray::IDLE", "", False),
        ("ray::ServeReplica:s-a:service", _MODULES["xgboost"], False),
    ],
)
def test_a_worker_is_free_when_it_has_no_name_yet(title: str, modules: str, found: bool) -> None:
    command = ["bash", "-c", 'exec -a "$0" sleep 60', title]
    with subprocess.Popen(command, env=os.environ | {AHEAD: modules}) as worker:
        try:
            process = psutil.Process(worker.pid)
            while process.cmdline()[:1] != [title]:
                assert worker.poll() is None
            assert has_idle_worker(psutil.Process(), _MODULES["xgboost"]) is found
        finally:
            worker.kill()
