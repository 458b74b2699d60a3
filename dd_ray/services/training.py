"""Carrying out one training: connector, mllib, measures, final report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dd_ray.attempts import RESULT, Attempt
from dd_ray.data import Dataset, TrainReport
from dd_ray.mllibs.team import Team
from dd_ray.registry import load
from dd_ray.repository import CONNECTOR_STATE, Repository
from dd_ray.services.answer import dumps
from dd_ray.services.checkpoints import Checkpoints, checkpoint_of
from dd_ray.services.definition import Effective, data_of
from dd_ray.services.follower import Follower
from dd_ray.services.ports import Point, Work
from dd_ray.services.run import TrainingRun, earlier_history


def train(
    work: Work,
    *,
    report: Callable[[Point], None],
    stopped: Callable[[], bool],
    flush: Callable[[], None] = lambda: None,
    fit: Callable[[Callable[[], None]], None] = lambda loop: loop(),
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Trains a service's model in this process; returns the body of the final report.

    An attempt after others goes on from their last checkpoint. The job's folder must be there, see
    dd_ray.attempts. Raises ApiError.
    """
    attempt = attempt_at(work)
    return result(attempt) or lead(
        work, attempt, report=report, stopped=stopped, flush=flush, fit=fit, clock=clock
    )


def attempt_at(work: Work, *, joins: bool = False) -> Attempt:
    """The right to carry it out, taken from the attempts before; raises ApiError.

    With `joins` it is for another process of an attempt that has been taken.
    """
    work.definition.effective(work.call.get("parameters"))
    data_of(work.call)
    return Attempt(work.definition.repository, work.key, work.attempt, joins=joins)


def result(attempt: Attempt) -> dict[str, Any] | None:
    """The body of the final report, when this attempt or one before has come to its end."""
    found = attempt.own.latest(RESULT)
    if found is None:
        return None
    body: dict[str, Any] = json.loads(found)
    return body


def lead(
    work: Work,
    attempt: Attempt,
    *,
    report: Callable[[Point], None],
    stopped: Callable[[], bool],
    flush: Callable[[], None] = lambda: None,
    fit: Callable[[Callable[[], None]], None] = lambda loop: loop(),
    clock: Callable[[], float] = time.monotonic,
    team: Team | None = None,
) -> dict[str, Any]:
    """Trains as the leader of a team; returns the body of the final report and keeps it.

    `report` gets each point and `flush` returns when they are kept, `stopped` says whether to end;
    `fit` runs the training loop, which is where a trainer of the cluster puts itself around it.
    """
    params = work.definition.effective(work.call.get("parameters"))
    repository = attempt.repository
    with attempt.repository.named(), attempt.scratch() as scratch:
        dataset, state = _read(work, params, scratch)
        run = TrainingRun(
            params.output.measure,
            class_names=dataset.class_names,
            test_names=[test.name for test in dataset.tests],
            earlier=lambda: earlier_history(repository),
            report=report,
            flush=flush,
            checkpoints=Checkpoints(attempt, every_s=work.checkpoint_s, clock=clock),
            stopped=stopped,
            clock=clock,
            team=team,
        )
        results: list[TrainReport] = []
        mllib = load(work.definition.mllib_spec.implementation)
        _stage(repository, state, dataset)
        fit(lambda: results.append(mllib.train(dataset, repository, params.mllib, run)))
    learned = load(work.definition.connector_spec.implementation).learned(params.input, state)
    (done,) = results
    body = _body(work, done, learned)
    with repository.named():
        if params.output.target_repository:
            repository.copy_to(params.output.target_repository, done.model)
        flush()
        attempt.own.write(RESULT, dumps(body))
    return body


def follow(work: Work, attempt: Attempt, marker: Mapping[str, Any] | None, team: Team) -> None:
    """Trains as a member of a team that does not lead it, from the checkpoint of a marker."""
    found = checkpoint_of(attempt, marker)
    params = work.definition.effective(work.call.get("parameters"))
    mllib = load(work.definition.mllib_spec.implementation)
    with attempt.repository.named(), attempt.scratch(team.rank) as scratch:
        dataset, _ = _read(work, params, scratch)
        mllib.train(dataset, attempt.readable, params.mllib, Follower(team, found))


def _read(work: Work, params: Effective, scratch: Path) -> tuple[Dataset, Any]:
    """The data of the call, and what the connector learned from it."""
    connector = load(work.definition.connector_spec.implementation)
    dataset, state = connector.dataset(
        data_of(work.call),
        params.input,
        scratch=scratch,
        missing_ok=work.definition.mllib_spec.takes_missing,
        classes=params.mllib.classes,
    )
    return dataset, state


def _body(work: Work, done: TrainReport, learned: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "measure": done.measures[0],
        "model": {"repository": work.definition.repository},
        "parameters": {"input": learned},
    }
    if len(done.measures) > 1:
        body["measures"] = list(done.measures)
    return body


def _stage(repository: Repository, state: Any, dataset: Dataset) -> None:
    """Lays out what the model cannot be used without, to take effect with its first save."""
    repository.stage(CONNECTOR_STATE, state.model_dump_json().encode())
    repository.stage_feature_map(dataset.names)
    repository.stage_class_names(dataset.class_names)
