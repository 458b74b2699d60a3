"""How Serve writes logs: in the format of ours."""

from __future__ import annotations

from ray.serve.schema import EncodingType, LoggingConfig

from dd_ray.settings import Settings


def serve_logging(given: Settings) -> LoggingConfig:
    """Serve's own lines about a deployment. A line for each request is ours to write."""
    return LoggingConfig(
        encoding=EncodingType.JSON if given.log_format == "json" else EncodingType.TEXT,
        log_level=given.log_level,
        enable_access_log=False,
    )
