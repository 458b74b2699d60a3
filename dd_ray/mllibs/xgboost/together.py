"""Several workers that grow the same trees, each from its part of the rows.

XGBoost would choose bins of what each worker's rows look like, and trees that differ: after 20
rounds on 20,000 normal rows the probabilities of two workers were up to 0.38 away from those of
one, 0.017 in the mean. So every worker, which has read all rows, makes the bins of all of them and
keeps its part; then what is added up is the same but for the order (0 away in that example).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dd_ray.data import Batch, Batches, ImageBatch
from dd_ray.errors import BadInput, BadParameter
from dd_ray.mllibs.team import Team
from dd_ray.mllibs.xgboost.library import xgb
from dd_ray.mllibs.xgboost.params import XGBoostParams


def check_team(team: Team, params: XGBoostParams, rows: int) -> None:
    """Raises BadParameter or BadInput for what several workers cannot train."""
    if team.alone:
        return
    if not params.uses_bins:
        raise BadParameter(
            f"parameters.mllib.workers: {team.size} of them train on quantile bins:"
            " parameters.mllib.booster must be gbtree or dart and booster_params.tree_method auto"
            " or hist"
        )
    if rows < team.size:
        raise BadInput(f"{rows} examples, expected one at least for each of {team.size} workers")


_GOODBYE_S = 60


@contextmanager
def collective(team: Team) -> Iterator[None]:
    """In it XGBoost adds up what all workers see."""
    if team.alone:
        yield
        return
    tracker = None
    if team.leads:
        tracker = xgb.RabitTracker(n_workers=team.size, host_ip=team.host, sortby="task")
        tracker.start()
    arguments = team.share(tracker.worker_args() if tracker else None)
    with xgb.collective.CommunicatorContext(dmlc_task_id=f"{team.rank:08}", **arguments):
        yield
    if tracker:
        tracker.wait_for(_GOODBYE_S)  # the others tell it that they end


def is_of_team(error: Exception) -> bool:
    """Whether XGBoost failed because another worker is lost: its message names its source files."""
    return "/collective/" in str(error) or "rabit" in str(error).lower()


def agreed(team: Team, flag: bool) -> bool:
    """The leader's word."""
    return flag if team.alone else bool(xgb.collective.broadcast(flag, 0))


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one worker: every `size`-th of each batch."""

    examples: Batches
    rank: int
    size: int

    @property
    def folder(self) -> Path | None:
        return self.examples.folder

    def __len__(self) -> int:
        return sum(len(batch) for batch in self)

    def __iter__(self) -> Iterator[Batch]:
        done = 0
        for batch in self.examples:
            assert not isinstance(batch, ImageBatch)  # the connectors are csv and svm
            rows = slice((self.rank - done) % self.size, None, self.size)
            done += len(batch)
            values: Any = batch.values_NF[rows]
            part = replace(
                batch,
                values_NF=values,
                uris=[],  # nobody asks for those of a training
                targets_NT=None if batch.targets_NT is None else batch.targets_NT[rows],
            )
            if len(part):
                yield part
