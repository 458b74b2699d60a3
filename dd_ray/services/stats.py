"""Counters of a service: what `service_stats` shows, and what GET /metrics adds to it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, fields
from typing import Any

BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 6e4)
"""Upper ends of the ranges in which the durations of calls are counted; the last has none."""


@dataclass(slots=True, kw_only=True)
class Stats:
    """Counts and milliseconds since the service was created; added up over its replicas."""

    inference_count: int = 0
    predict_success: int = 0
    predict_failure: int = 0
    total_predict_duration_ms: float = 0.0
    total_transform_duration_ms: float = 0.0
    total_queue_duration_ms: float = 0.0
    """Of calls, from when their data had been read to when their batch began."""
    total_model_duration_ms: float = 0.0
    batch_count: int = 0
    batch_rows: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    """How many calls took how long; see BOUNDS_MS."""
    errors: dict[int, int] = field(default_factory=dict)
    """How many calls were answered with each DeepDetect code, also those that were not taken."""

    def succeeded(self, rows: int, duration_ms: float, transform_ms: float) -> None:
        self.inference_count += rows
        self.predict_success += 1
        self.total_predict_duration_ms += duration_ms
        self.total_transform_duration_ms += transform_ms
        self.durations[bisect_left(BOUNDS_MS, duration_ms)] += 1

    def failed(self, duration_ms: float, code: int) -> None:
        self.predict_failure += 1
        self.total_predict_duration_ms += duration_ms
        self.durations[bisect_left(BOUNDS_MS, duration_ms)] += 1
        self.refused(code)

    def refused(self, code: int) -> None:
        """A call that was not taken: it is no failure, as in DeepDetect."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def ran(self, rows: int, model_ms: float, queue_ms: float) -> None:
        """A batch: `queue_ms` is the sum over its calls."""
        self.batch_count += 1
        self.batch_rows += rows
        self.total_model_duration_ms += model_ms
        self.total_queue_duration_ms += queue_ms

    def take(self) -> Stats:
        """What was counted since the last take; starts from zero again."""
        taken, empty = Stats(), Stats()
        for each in fields(self):
            setattr(taken, each.name, getattr(self, each.name))
            setattr(self, each.name, getattr(empty, each.name))
        return taken

    def add(self, other: Stats) -> None:
        for each in fields(self):
            mine, its = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, list):
                setattr(self, each.name, [a + b for a, b in zip(mine, its, strict=True)])
            elif isinstance(mine, dict):
                for key, value in its.items():
                    mine[key] = mine.get(key, 0) + value
            else:
                setattr(self, each.name, mine + its)

    @property
    def predict_count(self) -> int:
        return self.predict_success + self.predict_failure

    @property
    def counted(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.predict_count or self.errors)

    def as_json(self) -> dict[str, Any]:
        """The object of the API; averages are -1 before the first call."""
        count = self.predict_count
        predict_ms = self.total_predict_duration_ms / count if count else -1.0
        transform_ms = self.total_transform_duration_ms / count if count else -1.0
        return {
            "inference_count": self.inference_count,
            "predict_success": self.predict_success,
            "predict_failure": self.predict_failure,
            "predict_count": count,
            "avg_batch_size": self.inference_count / count if count else -1.0,
            "avg_predict_duration_ms": predict_ms,
            "avg_transform_duration_ms": transform_ms,
            "avg_predict_duration_s": predict_ms / 1000,
            "avg_transform_duration_s": transform_ms / 1000,
            "avg_predict_duration": predict_ms / 1000,
            "avg_transform_duration": transform_ms / 1000,
            "total_predict_duration_ms": self.total_predict_duration_ms,
            "total_transform_duration_ms": self.total_transform_duration_ms,
        }
