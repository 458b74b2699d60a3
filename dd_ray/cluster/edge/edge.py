"""An HAProxy that runs for ever and knows where every replica listens."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dd_ray.cluster.edge.admin import Admin
from dd_ray.cluster.edge.config import configuration
from dd_ray.cluster.edge.follow import NOTHING, Follower, Known, Wait
from dd_ray.cluster.edge.haproxy import DidNotStart, Haproxy
from dd_ray.cluster.edge.slots import Slots
from dd_ray.cluster.flags import short_temporary_folder

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What an edge needs, and its life."""

    program: str
    """The path of an HAProxy 2.8."""
    listening: socket.socket
    """Bound to the public port. Closed when the edge ends, not while HAProxy is away for a moment,
    so that no client is refused."""
    serve: str
    """Host and port of Ray Serve."""
    key: str
    """The cluster's, which replicas want to see."""
    caller: str
    """The `Authorization` that callers must have; empty when they need none."""
    any_name: bool
    """Whether callers may use any name of this machine; else its addresses, and localhost."""
    slots: int
    threads: int
    drain_s: float
    """How long requests may still be answered when the edge ends."""
    endpoints: Wait

    async def run(self, ready: Callable[[], None]) -> None:
        """Runs until cancelled, calling `ready` once. Raises DidNotStart, for the first HAProxy."""
        folder = Path(short_temporary_folder())
        try:
            (folder / "haproxy.cfg").write_text(configuration(self.slots))
            (folder / "services.map").touch()
            haproxy = await self._start(folder)
            ready()
            known = NOTHING
            while True:
                known = await self._accompany(haproxy, folder, known)
                haproxy = await self._start_again(folder)
        finally:
            self.listening.close()
            shutil.rmtree(folder, ignore_errors=True)

    async def _start(self, folder: Path) -> Haproxy:
        variables = {
            "DD_RAY_EDGE_BIND": f"fd@{self.listening.fileno()}",
            "DD_RAY_EDGE_SERVE": self.serve,
            "DD_RAY_EDGE_KEY": self.key,
            "DD_RAY_EDGE_CALLER": self.caller,
            "DD_RAY_EDGE_NAMES": "any" if self.any_name else "none",
            "DD_RAY_EDGE_FOLDER": str(folder),
            "DD_RAY_EDGE_THREADS": str(self.threads),
            "DD_RAY_EDGE_DRAIN": f"{int(self.drain_s * 1000) + 1}ms",  # 0 is none of its times
        }
        return await Haproxy.start(
            self.program, folder, variables=variables, handed_down=self.listening.fileno()
        )

    async def _start_again(self, folder: Path) -> Haproxy:
        while True:
            try:
                return await self._start(folder)
            except (DidNotStart, OSError) as exc:
                logger.error("the edge is not started again, trying once more: %s", exc)
                await asyncio.sleep(_AGAIN_S)

    async def _accompany(self, haproxy: Haproxy, folder: Path, known: Known) -> Known:
        """Tells an HAProxy where replicas listen, to its end; returns what it was told last."""
        follower = Follower(
            Admin(folder / "admin.sock"),
            Slots(self.slots, folder / "services.map"),
            wait=self.endpoints,
            known=known,
        )
        following = asyncio.create_task(follower.run())
        ended = asyncio.create_task(haproxy.ended())
        try:
            await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():  # it takes no commands, so it is of no use
                haproxy.kill()
            logger.warning("the edge has ended and is started again: %s", await ended)
        finally:
            following.cancel()
            ended.cancel()
            await asyncio.gather(following, ended, return_exceptions=True)
            await haproxy.stop(drain_s=self.drain_s)
        return follower.known


class EdgeThread:
    """An edge beside whatever else this process does."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._thread = threading.Thread(target=self._run, name="edge", daemon=True)
        self._ready = threading.Event()
        self._failure: DidNotStart | None = None
        self._cancel: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Returns when requests are answered; raises DidNotStart."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Takes no more requests, answers those under way, as long as `drain_s` at most."""
        self._edge.listening.close()  # else clients would wait for an answer that never comes
        if self._thread.is_alive():
            self._cancel()
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except DidNotStart as exc:
            self._failure = exc
        except Exception:
            logger.exception("the edge failed")
        finally:
            self._ready.set()

    async def _main(self) -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        await self._edge.run(self._ready.set)
