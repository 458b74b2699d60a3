"""What a training has to say, on its way to the state."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from dd_ray.errors import Superseded
from dd_ray.services.ports import Point, Work

logger = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.2
_AGAIN_S = 1.0


class Reports:
    """Sends points to the state a few times a second, so that fast iterations cost little.

    A batch is sent until the state has kept it. When the state says that another attempt has
    taken over, or is gone for good, the training is `stopped` and may not write any more.
    """

    def __init__(self, work: Work, state: Any, stopped: threading.Event) -> None:
        from dd_ray.cluster.remote_state import RemoteState, find_state

        self._work = work
        self._state = RemoteState(state or find_state())
        self._stopped = stopped
        self._points: list[Point] = []
        self._batch = 0
        self._over = False
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send_regularly, daemon=True)
        self._thread.start()

    def add(self, point: Point) -> None:
        with self._lock:
            self._points.append(point)

    def flush(self) -> None:
        """Returns when all that was added is kept; raises Superseded."""
        self._send()
        if self._over:
            raise Superseded(f"attempt {self._work.attempt} at the training is over")

    def close(self) -> None:
        """Sends the rest."""
        self._done.set()
        self._thread.join()
        self._send()

    def _send_regularly(self) -> None:
        while not self._done.wait(_REPORT_EVERY_S):
            self._send()

    def _send(self) -> None:
        with self._sending:
            with self._lock:
                points, self._points = self._points, []
            if points and not self._over:
                self._over = not self._kept(points)
                self._batch += 1
                if self._over:
                    self._stopped.set()

    def _kept(self, points: list[Point]) -> bool:
        """Whether the state has kept a batch and wants more."""
        while True:
            try:
                told = self._state.tell_report(self._work, self._batch, points)
                going_on: bool = ray.get(told)
                return going_on
            except RayTaskError as exc:  # its disk is full, as a rule
                logger.warning("the state did not keep a report, trying again: %s", exc)
                time.sleep(_AGAIN_S)
            except RayActorError:
                logger.warning("the state is gone, the training ends")
                return False
