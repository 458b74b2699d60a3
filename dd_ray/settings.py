"""Settings of the server, each an environment variable `DD_RAY_<NAME>`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from dd_ray.locations import as_path, bucket_url, in_bucket


def _separated(separator: str) -> BeforeValidator:
    """Takes one text with separators for a list, as environment variables have it."""

    def split(value: Any) -> Any:
        parts = re.split(separator, value) if isinstance(value, str) else value
        return [part.strip() for part in parts if part.strip()] if isinstance(value, str) else parts

    return BeforeValidator(split)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _root(text: str) -> str:
    """A folder by its real path, or the URL of a bucket or prefix."""
    if in_bucket(text):
        return bucket_url(text)
    path = as_path(text)
    if not os.path.isabs(path):
        raise PydanticCustomError(
            "absolute", "expected absolute paths and s3:// or gs:// URLs, with colons between them"
        )
    return os.path.realpath(path)


def _long_enough(key: str) -> str:
    if key and not (len(key) >= MIN_KEY and key.isascii() and key.isprintable()):
        raise PydanticCustomError("key", f"expected {MIN_KEY} or more printable ASCII characters")
    return key


Roots = Annotated[tuple[Annotated[str, AfterValidator(_root)], ...], _separated(":(?!//)")]

MIN_KEY = 16
"""Characters of an API key."""


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
    max_image_pixels: int = Field(
        2**27,  # photographs of 108 million pixels pass; decoded, the largest takes 400 MB
        gt=0,
        description="Most pixels of an image, as its header says and after resizing",
    )
    max_predict_bytes: int = Field(
        4 * 2**30, gt=0, description="Most memory for the resized images of one predict call"
    )
    image_cache_bytes: int = Field(
        512 * 2**20, ge=0, description="Memory of a training for images it need not decode again"
    )
    job_cpus: float = Field(
        1.0, ge=0, description="CPUs that Ray reserves for a training job; threads are not limited"
    )
    service_cpus: float = Field(0.0, ge=0, description="CPUs that Ray reserves for a service")
    shared: bool = Field(
        False,
        description="Whether services answer in one process, unless they say otherwise or need one"
        " of their own: for many small models",
    )
    warm: Annotated[tuple[Literal["xgboost", "torch"], ...], _separated(",")] = Field(
        ("xgboost", "torch"),
        description="Libraries, with commas between, that an idle worker has imported already:"
        " services and trainings begin sooner, for 190 MB (xgboost) or 640 MB (torch) on each node",
    )
    batch_rows: int = Field(
        512,
        gt=0,
        description="Most rows of predict calls that are joined into one batch; of images, as many"
        " as the network takes at a time (`net.test_batch_size`)",
    )
    batch_wait_ms: float = Field(
        0.0, ge=0, description="How long a batch waits for more calls; 0 takes what has queued"
    )
    queue_calls: int = Field(
        1000, gt=0, description="Most predict calls of a service that may wait; more answer 503"
    )
    predict_timeout_s: float = Field(
        0.0,
        ge=0,
        description="How long a predict call may take until it is answered 504; 0 is no limit, for"
        " a call may have a million rows",
    )
    drain_s: float = Field(
        20.0,
        ge=0,
        description="How long requests may still be answered when the server is told to end",
    )
    memory_factor: float = Field(
        3.0,
        ge=0,
        description="Memory that a service is thought to need, in sizes of its model's file; what"
        " does not fit is refused. 0 refuses nothing",
    )
    edge_slots: int = Field(
        500,
        gt=0,
        le=10_000,
        description="Services that the edge can call directly; the others are called through Serve",
    )
    edge_threads: int = Field(1, gt=0, le=64, description="Threads of the edge")
    service_threads: int = Field(
        0, ge=0, description="Threads of a service's model; 0 takes as many as there are CPUs"
    )
    service_gpus: float = Field(
        0.1, gt=0, le=1, description="Share of a GPU that Ray reserves for a service on a GPU"
    )
    job_gpus: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a GPU that Ray reserves for a training job on a GPU; services have"
        " theirs on the same one",
    )
    autoscaling: bool = Field(
        False,
        description="Whether the cluster adds nodes by itself: a training that no node has room"
        " for waits for one then, instead of being refused",
    )
    replica_calls: int = Field(
        8,
        gt=0,
        description="Calls under way in a replica above which a service whose number of replicas"
        " follows the load gets another",
    )
    replica_add_s: float = Field(
        30.0, ge=0, description="How long there must be so many calls before it gets another"
    )
    replica_drop_s: float = Field(
        600.0, ge=0, description="How long there must be fewer calls before it has one less"
    )
    job_queue: int = Field(
        1000, gt=0, description="Most jobs that may wait behind the running one of a service"
    )
    checkpoint_s: float = Field(
        60.0,
        ge=0,
        description="How much of a training, in seconds, may be lost when its process dies",
    )
    job_retries: int = Field(
        3,
        ge=0,
        description="How often in a row a training may die and be taken up again without getting"
        " further",
    )
    job_history: int = Field(
        1000, ge=0, description="Jobs that are kept for people when their reports were taken"
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of log lines")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = Field("WARNING", description="The least that is logged")
    access_log: bool = Field(False, description="Whether to log a line for each request")
    metrics_services: int = Field(
        200, ge=0, description="Services that have metrics of their own; the others share one label"
    )
    stop_grace_s: float = Field(
        1.5, ge=0, description="How long a stopped job may finish its iteration before it is killed"
    )

    # -- who may call, and what calls may reach: SECURITY.md --------------------------------------

    api_key: Annotated[str, AfterValidator(_long_enough)] = Field(
        "", repr=False, description="The key that every call must have; empty asks for none"
    )
    allow_origin: str = Field(
        "", description="Origin of web pages whose scripts may call, as https://ui.example"
    )
    roots: Roots = Field(
        (),
        description="Folders, and s3:// or gs:// URLs, with colons between, in which all that calls"
        " name must lie; none allows any path and nothing in buckets",
    )
    allowed_hosts: Annotated[tuple[str, ...], _separated(",")] = Field(
        (),
        description="Hosts, `.domains` and networks that URLs of calls may name although their"
        " addresses are private",
    )
    connect_timeout_s: float = Field(
        10.0, gt=0, description="How long connecting to the host of a URL may take"
    )
    read_timeout_s: float = Field(
        60.0, gt=0, description="How long the host of a URL may send nothing"
    )
    network_timeout_s: float = Field(
        60.0, gt=0, description="How long an `output.network` may take in all"
    )
    max_network_bytes: int = Field(
        64 * 2**20, gt=0, description="Largest answer of an `output.network` that is handed on"
    )
    max_archive_bytes: int = Field(
        16 * 2**30, gt=0, description="Most bytes of the files in an archive of `model.init`"
    )
    max_archive_files: int = Field(
        10_000, gt=0, description="Most files in an archive of `model.init`"
    )
    max_nesting: int = Field(
        64, gt=0, description="Most objects and arrays in one another in a body"
    )
    max_data_items: int = Field(1_000_000, gt=0, description="Most elements of `data` in a call")
    max_cells: int = Field(
        50_000_000, gt=0, description="Most rows times columns of the table in a predict call"
    )
    max_columns: int = Field(
        2_000_000, gt=0, description="Most columns of a table, or features of sparse data"
    )
    max_field_chars: int = Field(
        131_072, gt=0, le=131_072, description="Most characters of a field of CSV data"
    )
    max_predictions: int = Field(
        5_000_000, gt=0, description="Most classes and values that the answer of a call may have"
    )
    max_template_chars: int = Field(
        16 * 2**20, gt=0, description="Longest output of an `output.template`"
    )
    max_services: int = Field(1000, gt=0, description="Most services at a time")

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
            name = str(first["loc"][0])
            shown = repr(first["input"]) if cls.model_fields[name].repr else "one that is not shown"
            raise ValueError(f"DD_RAY_{name.upper()}: {first['msg']}, got {shown}") from None


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings.from_env(os.environ)
