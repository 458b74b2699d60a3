"""Ten times what a service can do: what becomes of the calls that it takes and of the others.

    python benchmarks/overload.py [--seconds 20] [--queue 64] [--times 10]

resnet_18, one JPEG a call. First as many clients as keep it busy, for what it can do; then calls
that begin at `times` that rate, whether others are answered or not, each on a connection of its
own. Prints how long the answers take by status. With a queue of N calls a call that is taken waits
about N / (calls a second) at most.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from serve_loads import make_loads, make_models
from serve_targets import check, dd_ray, path_and_body
from support import machine

BUSY = 8
WARM_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--times", type=float, default=10.0)
    given = parser.parse_args()
    (load,) = [load for load in make_loads() if load.name == "JPEG"]
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder))
        with dd_ray("image", Path(folder), DD_RAY_QUEUE_CALLS=str(given.queue)) as target:
            check(target, load)
            request = _request(*path_and_body(target, load))
            port = int(target.url.rpartition(":")[2])
            can = asyncio.run(_capacity(port, request, WARM_S))
            can = asyncio.run(_capacity(port, request, given.seconds))
            rate = can * given.times
            took_s, unanswered = asyncio.run(_flood(port, request, rate, given.seconds))
    print(f"\n{machine()}\n")
    print(f"{can:.1f} calls a second with {BUSY} clients; then {rate:.0f} a second arrive\n")
    print("| status | answers | p50 ms | p99 ms | longest ms |\n|---|--:|--:|--:|--:|")
    for status, times in sorted(took_s.items()):
        ordered = sorted(1000 * each for each in times)
        p99 = ordered[int(len(ordered) * 0.99)]
        print(
            f"| {status} | {len(ordered)} | {statistics.median(ordered):.0f} | {p99:.0f}"
            f" | {ordered[-1]:.0f} |"
        )
    print(f"\nwithout an answer: {dict(unanswered) or 0}")


def _request(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def _capacity(port: int, request: bytes, seconds: float) -> float:
    """Calls a second that are answered with 200 when BUSY clients call on and on."""
    deadline = time.monotonic() + seconds
    answered = 0

    async def client() -> None:
        nonlocal answered
        while time.monotonic() < deadline:
            status = await _call(port, request)
            answered += status == "200"  # not in one: the sum would be that from before the call

    await asyncio.gather(*(client() for _ in range(BUSY)))
    return answered / seconds


async def _flood(
    port: int, request: bytes, rate: float, seconds: float
) -> tuple[dict[str, list[float]], Counter[str]]:
    """Seconds of the answers by status, and what was raised instead of an answer."""
    took_s: dict[str, list[float]] = defaultdict(list)
    unanswered: Counter[str] = Counter()

    async def timed() -> None:
        began = time.monotonic()
        try:
            status = await _call(port, request)
        except OSError as exc:
            unanswered[type(exc).__name__] += 1
        else:
            took_s[status].append(time.monotonic() - began)

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - time.monotonic())
            tasks.create_task(timed())
    return took_s, unanswered


async def _call(port: int, request: bytes) -> str:
    """The status of the answer to a call."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError
    return answer[9:12].decode()


if __name__ == "__main__":
    main()
