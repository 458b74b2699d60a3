"""Counters of a service, as `service_stats` shows them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(slots=True, kw_only=True)
class Stats:
    """Counts and milliseconds since the service was created; added up over its replicas."""

    inference_count: int = 0
    predict_success: int = 0
    predict_failure: int = 0
    total_predict_duration_ms: float = 0.0
    total_transform_duration_ms: float = 0.0

    def succeeded(self, rows: int, duration_ms: float, transform_ms: float) -> None:
        self.inference_count += rows
        self.predict_success += 1
        self.total_predict_duration_ms += duration_ms
        self.total_transform_duration_ms += transform_ms

    def failed(self, duration_ms: float) -> None:
        self.predict_failure += 1
        self.total_predict_duration_ms += duration_ms

    def take(self) -> Stats:
        """What was counted since the last take; starts from zero again."""
        taken = Stats(**{field.name: getattr(self, field.name) for field in fields(self)})
        for field in fields(self):
            setattr(self, field.name, type(getattr(self, field.name))(0))
        return taken

    def add(self, other: Stats) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def predict_count(self) -> int:
        return self.predict_success + self.predict_failure

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
