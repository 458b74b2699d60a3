"""Settings of the server, each an environment variable `DD_RAY_<NAME>`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Settings(BaseModel):
    """What an operator may change without a call."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".dd-ray",
        description="Where the server keeps its own files (logs, state)",
    )
    max_body_bytes: int = Field(
        256 * 2**20, gt=0, description="Largest request body, after decompression"
    )
    max_download_bytes: int = Field(
        2 * 2**30, gt=0, description="Largest file fetched from a URL in `data`"
    )
    job_cpus: float = Field(
        1.0, ge=0, description="CPUs that Ray reserves for a training job; threads are not limited"
    )
    service_cpus: float = Field(0.0, ge=0, description="CPUs that Ray reserves for a service")
    job_queue: int = Field(
        1000, gt=0, description="Most jobs that may wait behind the running one of a service"
    )
    stop_grace_s: float = Field(
        1.5, ge=0, description="How long a stopped job may finish its iteration before it is killed"
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Settings out of `DD_RAY_*` variables; raises ValueError naming the variable."""
        given = {
            name: env[f"DD_RAY_{name.upper()}"]
            for name in cls.model_fields
            if f"DD_RAY_{name.upper()}" in env
        }
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            name = str(first["loc"][0]).upper()
            raise ValueError(f"DD_RAY_{name}: {first['msg']}, got {first['input']!r}") from exc


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings.from_env(os.environ)
