"""Trees grown by several workers: those of one."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dd_ray.attempts import Attempt, open_job
from dd_ray.data import Dataset, InMemory, SparseBatch, TestSet
from dd_ray.errors import ApiError, BadInput, BadParameter
from dd_ray.mllibs.team import Team
from dd_ray.mllibs.xgboost.mllib import XGBoost
from dd_ray.mllibs.xgboost.params import XGBoostParams
from dd_ray.mllibs.xgboost.together import Part
from dd_ray.repository import Repository
from dd_ray.services.follower import Follower
from tests.mllibs.fake_run import FakeRun
from tests.mllibs.teams import together
from tests.mllibs.test_xgboost import Pieces, params, table

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(2000, 5)).astype(np.float32)  # more values than there are bins
CLASSES = (VALUES[:, 0] * VALUES[:, 1] > 0).astype(float) + (VALUES[:, 2] > 0)
ROWS = table(CLASSES, VALUES)
DATA = Dataset(train=InMemory(ROWS), tests=(TestSet(name="t", examples=InMemory(ROWS)),))
FLOAT_NOISE = {"rtol": 1e-4, "atol": 1e-6}


def work(path: Path, data: Dataset, asked: XGBoostParams, run: dict[str, Any], team: Team) -> Any:
    """One worker of an attempt; what the leader was told."""
    attempt, found, leader = None, None, None
    if team.leads:
        open_job(str(path), "k")
        attempt = Attempt(str(path), "k", run.pop("number", 1))
        leader = FakeRun("mcll", attempt=attempt, team=team, every=2, **run)
        found = leader.interrupted
    attempt, found = team.share((attempt, found))
    if leader is None:
        XGBoost.train(data, attempt.readable, asked, Follower(team, found))
        return None
    report = XGBoost.train(data, attempt.repository, asked, leader)
    return report.measures[0], leader.iterations


def trained(path: Path, asked: XGBoostParams, size: int, data: Dataset = DATA, **run: Any) -> Any:
    path.mkdir(exist_ok=True)
    if size == 1:
        return work(path, data, asked, run, Team())
    leader, *others = together(size, partial(work, path, data, asked, run), fresh=__name__)
    assert others == [None] * (size - 1)
    return leader


def probs(path: Path, asked: XGBoostParams) -> np.ndarray:
    found: np.ndarray = XGBoost.load(Repository(path), asked).predict(ROWS, asked).probs_NC
    return found


@pytest.mark.parametrize(
    ("size", "given"),
    [
        (2, {}),
        (3, {"booster_params": {"colsample": 0.5, "max_depth": 4}}),
        (2, {"booster": "dart", "booster_params": {"rate_drop": 0.3}}),
        (2, {"eval_metric": "mlogloss", "booster_params": {"tree_method": "hist"}}),
    ],
)
def test_workers_are_one(tmp_path: Path, size: int, given: dict[str, Any]) -> None:
    asked = params(iterations=12, test_interval=5, **given)
    one = trained(tmp_path / "one", asked, 1)
    several = trained(tmp_path / "several", asked, size)
    np.testing.assert_allclose(
        probs(tmp_path / "several", asked), probs(tmp_path / "one", asked), **FLOAT_NOISE
    )
    assert several[0] == pytest.approx(one[0], rel=1e-4)
    assert several[1] == one[1]


def test_rows_are_shared_out_once_each(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path)
    whole = np.concatenate([batch.values_NF for batch in pieces])
    parts = [Part(pieces, rank, 7) for rank in range(7)]
    joined = [np.concatenate([batch.values_NF for batch in part]) for part in parts]
    for rank, part in enumerate(joined):
        np.testing.assert_array_equal(part, whole[rank::7])
        assert len(part) == len(parts[rank])


def test_rows_on_disk_are_shared_out(tmp_path: Path) -> None:
    asked = params(iterations=6)
    for size in (1, 2):
        for rank in range(size):
            (tmp_path / f"pages-{size}-{rank}").mkdir()
    trained(tmp_path / "one", asked, 1, Dataset(train=Pieces(tmp_path / "pages-1-0")))
    path = tmp_path / "several"
    path.mkdir()
    together(
        2,
        lambda team: work(
            path, Dataset(train=Pieces(tmp_path / f"pages-2-{team.rank}")), asked, {}, team
        ),
        fresh=__name__,
    )
    np.testing.assert_allclose(probs(path, asked), probs(tmp_path / "one", asked), **FLOAT_NOISE)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_workers_goes_on(tmp_path: Path, before: int, after: int) -> None:
    asked = params(iterations=10)
    trained(tmp_path / "broken", asked, before, stop_after=5)
    trained(tmp_path / "broken", asked, after, number=2)
    trained(tmp_path / "unbroken", asked, 1)
    np.testing.assert_allclose(
        probs(tmp_path / "broken", asked), probs(tmp_path / "unbroken", asked), **FLOAT_NOISE
    )


def test_all_stop_when_the_leader_is_told_to(tmp_path: Path) -> None:
    _, iterations = trained(tmp_path, params(iterations=50), 2, stop_after=4)
    assert iterations == [0, 1, 2, 3]
    assert (tmp_path / "0004.model").is_file()


def test_sparse_rows_are_shared_out(tmp_path: Path) -> None:
    rows = SparseBatch(
        values_NF=csr_matrix(np.where(VALUES > 1, VALUES, 0)),
        names=ROWS.names,
        uris=ROWS.uris,
        targets_NT=ROWS.targets_NT,
    )
    data = Dataset(train=InMemory(rows), tests=())
    asked = params(iterations=5)
    trained(tmp_path / "one", asked, 1, data)
    trained(tmp_path / "several", asked, 2, data)
    np.testing.assert_allclose(
        probs(tmp_path / "several", asked), probs(tmp_path / "one", asked), **FLOAT_NOISE
    )


@pytest.mark.parametrize(
    ("given", "rows", "error"),
    [
        ({"booster": "gblinear"}, 9, BadParameter),
        ({"booster_params": {"tree_method": "exact"}}, 9, BadParameter),
        ({"booster_params": {"tree_method": "approx"}}, 9, BadParameter),
        ({}, 1, BadInput),
    ],
)
def test_what_several_cannot_train_is_refused(
    tmp_path: Path, given: dict[str, Any], rows: int, error: type[ApiError]
) -> None:
    data = Dataset(train=InMemory(table(CLASSES[:rows], VALUES[:rows])), tests=())
    with pytest.raises(error, match="workers"):
        XGBoost.train(data, Repository(tmp_path), params(**given), FakeRun(team=Team(size=2)))


def test_a_lost_worker_is_no_mistake_of_the_call(tmp_path: Path) -> None:
    """Its training is to go on with others; an ApiError would be the end of it."""

    class Dying(Follower):
        def report(self, iteration: int, **values: float) -> None:
            if iteration == 3:
                os.kill(os.getpid(), signal.SIGKILL)

    def failing(team: Team) -> str:
        if not team.leads:
            repository = Repository(tmp_path)
            XGBoost.train(DATA, repository, params(iterations=10**6), Dying(team, None))
        try:
            run = FakeRun(team=team)
            XGBoost.train(DATA, Repository(tmp_path), params(iterations=10**6), run)
        except ApiError as exc:
            return f"{type(exc).__name__}: {exc}"
        except Exception as exc:
            return f"lost: {exc}"
        return "trained"

    assert together(2, failing, dying=True, fresh=__name__)[0].startswith("lost")
