"""Clients that call all the time, and waiting for what is told by nobody."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlsplit

SOON_S = 240
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.3

Request = tuple[str, str, Any]
"""Method, path, and the JSON of the body or None."""


def eventually(claim: Callable[[], Any], *, within_s: float = SOON_S) -> Any:
    """What a claim says soon after that is true; looks again and again, ever more seldom."""
    deadline = time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        found = claim()
        if found:
            return found
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, _LONGEST_PAUSE_S)
    raise AssertionError(f"not so after {within_s:g} s: {claim}")


class Load:
    """Clients that make one request after the other, each on a connection that it keeps.

    `by` reads who has answered from the body of a 200. Between two requests a client lets
    `pause_s` pass: without, two of them take a third of a machine of two CPUs.
    """

    def __init__(
        self,
        url: str,
        requests: Sequence[Request],
        *,
        clients: int = 2,
        by: Callable[[bytes], str] = lambda _: "",
        headers: Mapping[str, str] | None = None,
        pause_s: float = 0.0,
    ) -> None:
        self.statuses: Counter[int | str] = Counter()
        """Answers by status, and by the name of the exception where there was none."""
        self.answered: Counter[str] = Counter()
        """Answers of 200 by who gave them."""
        self.failures: list[str] = []
        """All other answers."""
        self.longest_s = 0.0
        """The longest that a call took."""
        self._address = urlsplit(url).netloc
        self._requests = [
            (method, path, None if body is None else json.dumps(body))
            for method, path, body in requests
        ]
        self._by = by
        self._headers = dict(headers or {})
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._call_on, args=(start,), daemon=True)
            for start in range(clients)
        ]

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def __enter__(self) -> Load:
        self.start().more(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def more(self, count: int, *, status: int = 200) -> None:
        """Waits for so many more answers of a status."""
        wanted = self.statuses[status] + count
        eventually(lambda: self.statuses[status] >= wanted)

    def _call_on(self, start: int) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        for method, path, content in islice(cycle(self._requests), start, None):
            if self._end.wait(self._pause_s):
                break
            began = time.monotonic()
            try:
                connection.request(method, path, content, self._headers)
                response = connection.getresponse()
                self._note(began, response.status, response.read())
            except (OSError, http.client.HTTPException) as exc:
                self._note(began, type(exc).__name__, repr(exc).encode())
                connection.close()
        connection.close()

    def _note(self, began: float, status: int | str, content: bytes) -> None:
        with self._lock:
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            if status == 200:
                self.answered[self._by(content)] += 1
            else:
                self.failures.append(f"{status} {content!r}")
            self.statuses[status] += 1
