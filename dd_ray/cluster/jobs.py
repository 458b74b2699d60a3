"""Trainings as actors: one for each attempt, with Ray Train around the training loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.idle_imports import take
from dd_ray.cluster.remote import node_of, outcome
from dd_ray.cluster.reports import Reports
from dd_ray.cluster.resources import ON_HEAD, actor_options, find_place, needs_of_training
from dd_ray.cluster.warm import warm_options
from dd_ray.errors import ApiError, LibraryError
from dd_ray.logs import set_up
from dd_ray.registry import load
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.placement import Needs, Place
from dd_ray.services.ports import TrainingDied, Work
from dd_ray.services.training import train
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)


class JobActor:
    """Carries out one attempt at a training, in a thread beside its event loop.

    Where several workers train together, they are processes of their own that it leads. It
    outlives the state that began it: the next one finds it by its name and asks for the outcome.
    """

    def __init__(self, settings: Settings, needs: Needs, state: Any = None) -> None:
        take()
        set_up(settings)
        self._needs = needs
        self._stopped = threading.Event()
        self._stop_asked = asyncio.Event()
        self._began = asyncio.Event()
        self._failure: ApiError | None = None
        self._state = state
        self._training: asyncio.Task[dict[str, Any]] | None = None

    async def begin(self, work: Work) -> None:
        """Begins to train, unless that was done before; returns when all have their places."""
        if self._training is None:
            self._training = asyncio.create_task(self._train(work))
        began = asyncio.create_task(self._began.wait())
        await asyncio.wait({self._training, began}, return_when=asyncio.FIRST_COMPLETED)
        began.cancel()

    async def outcome(self) -> dict[str, Any]:
        """The body of the final report; raises ApiError, TrainingDied."""
        assert self._training is not None
        return await asyncio.shield(self._training)

    async def stop(self) -> None:
        """Ends the training after the iteration it is in."""
        self._stopped.set()
        self._stop_asked.set()

    # -- for its workers ------------------------------------------------------------------------

    async def workers_began(self) -> None:
        """The workers have their places."""
        self._began.set()

    async def worker_failed(self, error: ApiError) -> None:
        """Why the training fails: the first that a worker says, what others say follows from it."""
        self._failure = self._failure or error

    async def until_stopped(self) -> None:
        """Returns when the training is to end."""
        await self._stop_asked.wait()

    # -- inside ---------------------------------------------------------------------------------

    async def _train(self, work: Work) -> dict[str, Any]:
        this = ray.get_runtime_context().current_actor
        try:
            if self._needs.count == 1:
                self._began.set()
                return await asyncio.to_thread(self._train_here, work)
            from dd_ray.cluster.workers import train_together

            return await asyncio.to_thread(
                train_together, work, self._needs, job=this, state=self._state
            )
        except ApiError:
            raise
        except TrainingDied:
            if self._failure is not None:
                raise self._failure from None
            raise
        except Exception as exc:
            logger.exception("training of %s failed", work.definition.name)
            raise LibraryError(f"the training failed: {type(exc).__name__}: {exc}") from exc

    def _train_here(self, work: Work) -> dict[str, Any]:
        reports = Reports(work, self._state, self._stopped)
        try:
            return train(
                work,
                report=reports.add,
                flush=reports.flush,
                stopped=self._stopped.is_set,
                fit=lambda loop: _fit(work, loop),
            )
        finally:
            reports.close()


# once: Ray keeps each that is made
_job_actor = ray.remote(JobActor)


class RayJobRunner:
    """Runs each attempt in an actor of its own.

    Reports go to the actor `state`; by default to the one of the server, which finds the jobs by
    their names when it is started again. Another state's jobs have none and end with it.
    `replace` is called with the library and the node of a job that has ended.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        state: Any = None,
        replace: Callable[[str, str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._replace = replace
        self._actors: dict[str, Any] = {}

    async def start(self, work: Work) -> None:
        actor = self._actors.get(work.key)
        if actor is None:
            actor = self._actors[work.key] = await asyncio.to_thread(self._actor, work)
        try:
            await outcome(actor.begin.remote(work))
        except RayActorError as exc:
            raise TrainingDied(_reason(exc)) from exc

    async def runs(self, work: Work) -> bool:
        if self._state is not None:
            return False
        try:
            actor = await asyncio.to_thread(ray.get_actor, _name(work), namespace=NAMESPACE)
        except ValueError:
            return False
        self._actors[work.key] = actor
        return True

    async def outcome(self, work: Work) -> dict[str, Any]:
        try:
            body: dict[str, Any] = await outcome(self._actors[work.key].outcome.remote())
            return body
        except (RayActorError, OutOfMemoryError) as exc:
            raise TrainingDied(_reason(exc)) from exc
        except RayTaskError as exc:
            if isinstance(exc.cause, TrainingDied):
                raise exc.cause from None
            raise LibraryError(f"the training failed: {exc}") from exc
        except RayError as exc:
            raise LibraryError(f"the training failed: {exc}") from exc

    def stop(self, work: Work) -> None:
        actor = self._actors.get(work.key)
        if actor is None:
            return
        actor.stop.remote()
        loop = asyncio.get_running_loop()
        loop.call_later(self._settings.stop_grace_s, self._kill_if_running, work, actor)

    async def end(self, work: Work) -> None:
        actor = self._actors.pop(work.key, None)
        if actor is not None:
            node = await asyncio.to_thread(_kill, actor)
            if node and self._replace is not None:
                self._replace(work.definition.mllib_spec.extra, node)

    async def place(self, definition: ServiceDefinition, call: Mapping[str, Any]) -> Place:
        mllib = definition.effective(call.get("parameters")).mllib
        return await asyncio.to_thread(
            lambda: find_place(needs_of_training(mllib, self._settings), self._settings)
        )

    def _actor(self, work: Work) -> Any:
        mllib = work.definition.effective(work.call.get("parameters")).mllib
        needs = needs_of_training(mllib, self._settings)
        of_server: dict[str, Any] = {}
        if self._state is None:
            of_server = {"name": _name(work), "lifetime": "detached"}
            if needs.count == 1:  # else Ray Train's processes would inherit what is imported later
                of_server |= warm_options(work.definition.mllib_spec.extra)
        return _job_actor.options(
            **of_server,
            **(actor_options(needs) if needs.count == 1 else ON_HEAD),
            namespace=NAMESPACE,
            max_restarts=0,  # the next attempt is another actor
        ).remote(self._settings, needs, self._state)

    def _kill_if_running(self, work: Work, actor: Any) -> None:
        if self._actors.get(work.key) is actor:
            logger.warning(
                "job %s of %s did not stop in time, killed", work.job, work.definition.name
            )
            ray.kill(actor)


def _name(work: Work) -> str:
    return f"job:{work.key}:{work.attempt}"


def _kill(actor: Any) -> str:
    """Ends an actor; the id of the node where it was."""
    node = node_of(actor)
    ray.kill(actor)
    return node


def _reason(exc: RayError) -> str:
    """How a process ended, without what Ray says of addresses and of itself."""
    text = str(exc).lower()
    if isinstance(exc, OutOfMemoryError) or "running low on memory" in text:
        return "it was killed because memory ran out"
    if "its node has died" in text:
        return "its machine is gone"
    return "it was killed or crashed"


def _fit(work: Work, loop: Callable[[], None]) -> None:
    """Runs the training loop in the mllib's Ray Train trainer, in this process."""
    from ray.train import RunConfig, ScalingConfig  # which the state need not load

    trainer = load(work.definition.mllib_spec.trainer)
    trainer(
        loop,
        scaling_config=ScalingConfig(num_workers=0),  # local mode: no worker group for one worker
        run_config=RunConfig(storage_path=work.definition.repository),
    ).fit()
