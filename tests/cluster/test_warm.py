"""When a worker is started in place of one that was taken."""

from __future__ import annotations

import asyncio
import time

from dd_ray.cluster.warm import until_idle


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
