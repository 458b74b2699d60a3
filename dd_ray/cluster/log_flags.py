"""How Ray and Serve keep logs: in the format of ours, and never more than a bound."""

from __future__ import annotations

import os

from ray.serve.schema import EncodingType, LoggingConfig

from dd_ray.settings import Settings

_ROTATION = {
    # of each file, of which each process has two; Ray's own bound is 3 GB for each
    "RAY_ROTATION_MAX_BYTES": str(16 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "2",
}


def bound_logs() -> None:
    """Has the logs of a Ray that is about to start rotate; what the operator has set stays."""
    for name, value in _ROTATION.items():
        os.environ.setdefault(name, value)


def serve_logging(given: Settings) -> LoggingConfig:
    """Serve's own lines about a deployment. A line for each request is ours to write."""
    return LoggingConfig(
        encoding=EncodingType.JSON if given.log_format == "json" else EncodingType.TEXT,
        log_level=given.log_level,
        enable_access_log=False,
    )
