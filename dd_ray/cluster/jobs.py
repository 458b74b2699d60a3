"""Trainings as actors: one a job, with Ray Train around the training loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.train import RunConfig, ScalingConfig

from dd_ray.cluster.flags import NAMESPACE
from dd_ray.cluster.remote import outcome
from dd_ray.cluster.warm import prestart_workers
from dd_ray.errors import ApiError, LibraryError
from dd_ray.registry import load
from dd_ray.services.ports import Point, Work
from dd_ray.services.training import train
from dd_ray.settings import Settings

logger = logging.getLogger(__name__)

_REPORT_EVERY_S = 0.2


class JobActor:
    """Carries out one training. `stop` runs in a second thread."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def train(self, work: Work) -> dict[str, Any]:
        """The body of the final report; raises ApiError."""
        reports = _Reports(work)
        try:
            return train(
                work.definition,
                work.call,
                report=reports.add,
                stopped=self._stopped.is_set,
                fit=lambda loop: _fit(work, loop),
            )
        except ApiError:
            raise
        except Exception as exc:
            logger.exception("training of %s failed", work.definition.name)
            raise LibraryError(f"the training failed: {type(exc).__name__}: {exc}") from exc
        finally:
            reports.close()

    def stop(self) -> None:
        """Ends the training after the iteration it is in."""
        self._stopped.set()


class RayJobRunner:
    """Runs each training in an actor of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._actors: dict[tuple[str, int], Any] = {}

    async def run(self, work: Work) -> dict[str, Any]:
        key = (work.definition.name, work.job)
        actor = (
            ray.remote(JobActor)
            .options(
                name=f"job:{work.definition.name}:{work.job}",
                namespace=NAMESPACE,
                num_cpus=self._settings.job_cpus,
                max_concurrency=2,
                max_restarts=0,
            )
            .remote()
        )
        self._actors[key] = actor
        try:
            body: dict[str, Any] = await outcome(actor.train.remote(work))
            return body
        except RayActorError as exc:
            raise LibraryError("the training process died") from exc
        except RayError as exc:
            raise LibraryError(f"the training failed: {exc}") from exc
        finally:
            del self._actors[key]
            ray.kill(actor)
            await asyncio.to_thread(prestart_workers, 1)

    def stop(self, service: str, job: int) -> None:
        actor = self._actors.get((service, job))
        if actor is None:
            return
        actor.stop.remote()
        loop = asyncio.get_running_loop()
        loop.call_later(self._settings.stop_grace_s, self._kill_if_running, service, job, actor)

    def _kill_if_running(self, service: str, job: int, actor: Any) -> None:
        if self._actors.get((service, job)) is actor:
            logger.warning("job %s of %s did not stop in time, killed", job, service)
            ray.kill(actor)


class _Reports:
    """Sends points to the state a few times a second, so that fast iterations cost little."""

    def __init__(self, work: Work) -> None:
        from dd_ray.cluster.state_actor import RemoteState, state_actor

        self._work = work
        self._state = RemoteState(state_actor(create=False))
        self._points: list[Point] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send_regularly, daemon=True)
        self._thread.start()

    def add(self, point: Point) -> None:
        with self._lock:
            self._points.append(point)

    def close(self) -> None:
        """Sends the rest and waits until it has arrived."""
        self._done.set()
        self._thread.join()
        self._send()

    def _send_regularly(self) -> None:
        while not self._done.wait(_REPORT_EVERY_S):
            self._send()

    def _send(self) -> None:
        with self._lock:
            points, self._points = self._points, []
        if points:
            ray.get(self._state.tell_report(self._work.definition.name, self._work.job, points))


def _fit(work: Work, loop: Callable[[], None]) -> None:
    """Runs the training loop in the mllib's Ray Train trainer, in this process."""
    trainer = load(work.definition.mllib_spec.trainer)
    trainer(
        loop,
        scaling_config=ScalingConfig(num_workers=0),  # local mode: no worker group for one worker
        run_config=RunConfig(storage_path=work.definition.repository),
    ).fit()
