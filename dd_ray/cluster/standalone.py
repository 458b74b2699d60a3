"""Trainings on a Ray without a server: the API in this process, its jobs on the cluster."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private.authentication.authentication_token_setup import (
    enable_token_auth_by_default,
    maybe_enable_token_auth_if_token_available,
)

from dd_ray.api.app import build
from dd_ray.cluster.jobs import RayJobRunner
from dd_ray.cluster.ray_start import LOCAL, connect, find
from dd_ray.cluster.reach import check_reach
from dd_ray.cluster.remote_state import RemoteState
from dd_ray.errors import ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.deepdetect import Server
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.placement import Place
from dd_ray.services.ports import Replica
from dd_ray.services.state import State
from dd_ray.services.store import Store
from dd_ray.settings import Settings, settings

_CALLS = 100
_SAVE_S = 3600.0


class NoHost:
    """Serves nothing: a model that was trained here is served by whoever is given its folder."""

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        return None

    async def undeploy(self, name: str) -> None:
        return None

    async def end_others(self, names: Collection[str]) -> None:
        return None

    async def predict(self, name: str, raw: bytes) -> Rendered:
        raise ServiceNotFound(f"{name!r} is trained here, not served")

    async def free_memory(self) -> float:
        return math.inf

    async def check_reach(self, definition: ServiceDefinition) -> None:
        labels = definition.effective({}).mllib.resources.labels
        await asyncio.to_thread(check_reach, definition.repository, labels)

    async def place(self, definition: ServiceDefinition) -> Place:
        return Place()

    def replicas(self, name: str) -> list[Replica]:
        return []


class TrainingState:
    """The state of one process's trainings: an actor that is neither named nor kept."""

    def __init__(self, given: Settings) -> None:
        this = ray.get_runtime_context().current_actor
        self._state = State(NoHost(), RayJobRunner(given, state=this), given, Store(None))

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of State."""
        return await getattr(self._state, method)(*args, **kwargs)


@contextmanager
def training_api(ray_address: str) -> Iterator[Any]:
    """The ASGI app of an API that creates and trains services, on a Ray that is joined or started.

    Raises StartError. Whatever still trains when the context is left is killed.
    """
    address = find(ray_address)
    _use_token(own=address == LOCAL)
    connected = connect(address)
    try:
        actor = ray.remote(TrainingState).options(num_cpus=0, max_concurrency=_CALLS)
        yield build(Server(RemoteState(actor.remote(_patient(settings()))), NoHost()))
    finally:
        connected.stop()


def has_working_folder() -> bool:
    """Whether this is a job of `ray job submit --working-dir`: every node has its own copy."""
    return bool(ray.get_runtime_context().runtime_env.get("working_dir"))


def _patient(given: Settings) -> Settings:
    """No client waits for an answer here, so a stopped training may take its time to save."""
    if "stop_grace_s" in given.model_fields_set:
        return given
    return given.model_copy(update={"stop_grace_s": _SAVE_S})


def _use_token(*, own: bool) -> None:
    """Has Ray use its token: always for a Ray of our own, else if this user has one.

    Ray itself does so only where it is not told an address.
    """
    logging.getLogger(enable_token_auth_by_default.__module__).setLevel(logging.ERROR)
    if own:
        enable_token_auth_by_default()
    else:
        maybe_enable_token_auth_if_token_available()
