"""Following a job to its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

import typer

from dd_ray.cli.client import Answer, Api, Refused, Unreachable
from dd_ray.cli.progress import Item, Progress

_ASK_EVERY_S = 0.5
_PATIENCE_S = 120.0
"""How long a server may be away: as long as one takes to come up again on another machine."""

_AWAY = frozenset({502, 503, 504})


class Stop:
    """Whether SIGINT or SIGTERM came: the first one only says so, the second ends the command."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Takes the signals while the block runs."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask, number, task)
        try:
            yield self
        except asyncio.CancelledError:
            raise typer.Exit(self.exit_code) from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    @property
    def exit_code(self) -> int:
        return 128 + self.number

    def _ask(self, number: int, task: asyncio.Task[object]) -> None:
        self.number = number
        if self.asked.is_set():
            task.cancel()
        self.asked.set()

    async def wait(self, timeout_s: float) -> bool:
        """Waits for a signal, at most that long; whether one has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):  # wait_for would swallow a second signal
                await self.asked.wait()
        return self.asked.is_set()


Jobs = list[tuple[str, Item]]
"""Jobs with the names of their services."""


async def follow(
    jobs: Callable[[], Awaitable[Jobs]],
    *,
    progress: Progress,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Shows `jobs` until none of them runs, True, or until `stop` is asked for, False.

    Looks at lists of jobs, which takes nobody's final report away. A server that does not answer
    for a while is asked again.
    """
    last_answer = clock()
    while True:
        try:
            running = [(name, item) for name, item in await jobs() if item["status"] == "running"]
        except (Refused, Unreachable) as exc:
            away = isinstance(exc, Unreachable) or exc.code in _AWAY
            if not away or clock() - last_answer > _PATIENCE_S:
                raise
        else:
            last_answer = clock()
            if not running:
                return True
            for name, item in running:
                progress.show(name, item)
        if await stop.wait(_ASK_EVERY_S):
            return False


async def jobs_of(api: Api, service: str = "", job: int | None = None) -> Jobs:
    """The jobs of a service or of all, or one job of it; none when it is not listed any more."""
    if not service:
        services = (await api.info())["head"]["services"]
    else:
        services = [(await api.service(service))["body"]]
    return [
        (each["name"], item)
        for each in services
        for item in each["jobs"]
        if job is None or item["job"] == job
    ]


async def final_report(api: Api, service: str, job: int, *, ended: bool) -> Answer:
    """The final report of a job, which is stopped if it has not `ended`, saving what it has."""
    if not ended:
        stopped = await api.stop_job(service, job)
        if "status" in stopped["head"]:
            return stopped
    return await api.job(service, job)
