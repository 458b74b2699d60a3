"""How many requests of each kind there were: in an API until it tells the state, and there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests of one kind, and how long they took together."""

    method: str
    route: str
    code: int
    count: int
    seconds: float


class RequestCounts:
    """Counts by kind. Kinds are few: a route is the template of a path, never a path."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, int], tuple[int, float]] = {}

    def count(self, method: str, route: str, code: int, seconds: float, *, count: int = 1) -> None:
        before, before_s = self._kinds.get((method, route, code), (0, 0.0))
        self._kinds[method, route, code] = before + count, before_s + seconds

    def add(self, requests: Iterable[Requests]) -> None:
        """Adds what was counted elsewhere."""
        for each in requests:
            self.count(each.method, each.route, each.code, each.seconds, count=each.count)

    def all(self) -> list[Requests]:
        return [
            Requests(method=method, route=route, code=code, count=count, seconds=seconds)
            for (method, route, code), (count, seconds) in self._kinds.items()
        ]

    def take(self) -> list[Requests]:
        """What was counted since the last take."""
        taken = self.all()
        self._kinds.clear()
        return taken
