"""A training by several workers: Ray Train's worker group around the training loop of each."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.collective import broadcast_from_rank_zero

from dd_ray.attempts import Attempt
from dd_ray.cluster.reports import Reports
from dd_ray.errors import ApiError
from dd_ray.logs import set_up
from dd_ray.mllibs.team import Team
from dd_ray.registry import load
from dd_ray.services.checkpoints import marker_of
from dd_ray.services.placement import Needs
from dd_ray.services.ports import TrainingDied, Work
from dd_ray.services.training import attempt_at, follow, lead, result
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_TRAIN = "ray-train"
_LEAST_CPUS = 0.01
"""Ray reserves no place for what needs nothing."""


def train_together(work: Work, needs: Needs, *, job: Any, state: Any) -> dict[str, Any]:
    """Trains with `needs.count` workers; returns the body of the final report.

    The caller takes the right to write, which the leader exercises. `job` is the actor that is
    told when they begin and what a worker fails with, and that says when to stop. Raises
    TrainingDied when a worker is lost: it is the attempt that ends then, with all its workers.
    """
    attempt = attempt_at(work)
    done = result(attempt)
    if done is not None:
        return done
    storage_path, storage = attempt.shared
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths in a call may be relative
    trainer = load(work.definition.mllib_spec.trainer)
    try:
        trainer(
            partial(_work_on, work, marker_of(attempt), job, state),
            scaling_config=ScalingConfig(
                num_workers=needs.count,
                use_gpu=needs.resources.get("GPU", 0) > 0,
                resources_per_worker={"CPU": _LEAST_CPUS} | dict(needs.resources),
                label_selector=dict(needs.labels) or None,
            ),
            run_config=RunConfig(
                storage_path=storage_path,
                storage_filesystem=storage,
                name=_TRAIN,
                # the next attempt is ours to make, also when a node is taken away in time
                failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),
            ),
        ).fit()
    except TrainingFailedError as exc:
        logger.warning("attempt %s at %s: %s", work.attempt, work.definition.name, exc)
        raise TrainingDied("one of its workers was lost") from exc
    done = result(attempt)
    assert done is not None
    return done


def _work_on(work: Work, marker: dict[str, Any] | None, job: Any, state: Any) -> None:
    """What each worker runs; `marker` is that of the checkpoint from which all go on."""
    set_up(settings())
    context = ray.train.get_context()
    team = Team(
        rank=context.get_world_rank(),
        size=context.get_world_size(),
        on_node=context.get_local_world_size(),
        host=ray.util.get_node_ip_address(),
        share=broadcast_from_rank_zero,
    )
    try:
        attempt = attempt_at(work, joins=True)
        if team.leads:
            _lead(work, attempt, job, state, team)
        else:
            follow(work, attempt, marker, team)
    except ApiError as exc:
        ray.get(job.worker_failed.remote(exc))
        raise


def _lead(work: Work, attempt: Attempt, job: Any, state: Any, team: Team) -> None:
    ray.get(job.workers_began.remote())
    stopped = threading.Event()
    threading.Thread(target=_await_stop, args=(job, stopped), daemon=True).start()
    reports = Reports(work, state, stopped)
    try:
        lead(
            work,
            attempt,
            report=reports.add,
            flush=reports.flush,
            stopped=stopped.is_set,
            team=team,
        )
    finally:
        reports.close()


def _await_stop(job: Any, stopped: threading.Event) -> None:
    """Until the job is to stop, or is gone: then nobody wants the training either."""
    try:
        ray.get(job.until_stopped.remote())
    except RayError as exc:
        logger.warning("the job's actor is gone: %s", exc)
    stopped.set()
