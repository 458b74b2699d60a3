"""SIGINT and SIGTERM as something to wait for."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Turns SIGINT and SIGTERM into an event instead of an interruption."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def arm(self) -> None:
        """Takes the signals; to be called again after Ray, which takes SIGTERM for itself."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def disarm(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped.set()
