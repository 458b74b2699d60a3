"""What a job has reported, over attempts and however long it gets."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dd_ray.services import history as history_module
from dd_ray.services.history import History, subsample


def point(iteration: int, **values: float) -> dict[str, Any]:
    last = values | {"iteration": float(iteration)}
    return {"iteration": iteration, "last": last, "history": values}


def test_a_report_keeps_the_last_values_and_the_series() -> None:
    history = History()
    for i in range(3):
        history.add({"last": {"acc": float(i), "labels": ["a"]}, "history": {"acc": float(i)}})
    assert history.measure == {"acc": 2.0, "labels": ["a"]}
    assert history.series(0) == {"acc_hist": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("most", "kept"), [(0, 10), (-1, 10), (10, 10), (9, 5), (5, 5), (4, 4), (3, 3), (1, 1)]
)
def test_subsampling_keeps_at_most_what_was_asked(most: int, kept: int) -> None:
    found = subsample({"a": [float(i) for i in range(10)]}, most)["a"]
    assert len(found) == kept
    assert found[0] == 0.0
    assert len({b - a for a, b in pairwise(found)}) <= 1


def test_a_long_history_stays_bounded_and_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "LIMIT", 8)
    history = History()
    for i in range(100):
        history.add(point(i, a=float(i)))
    series = history.series(0)["a_hist"]
    assert 4 <= len(series) <= 8
    assert len({b - a for a, b in pairwise(series)}) == 1


def reported(iterations: int, *, tested_every: int, begin: int | None, start: int = 0) -> History:
    history = History()
    run(history, start, iterations, tested_every=tested_every, begin=begin)
    return history


def run(history: History, start: int, end: int, *, tested_every: int, begin: int | None) -> None:
    history.add({"begin": begin})
    for i in range(start, end):
        history.add(point(i, loss=float(i)))
        if (i + 1) % tested_every == 0:
            history.add(point(i, acc=float(i)))


@given(
    limit=st.integers(4, 60),
    total=st.integers(1, 200),
    tested_every=st.integers(1, 7),
    deaths=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=4),
)
def test_attempts_leave_no_hole_and_nothing_twice(
    limit: int, total: int, tested_every: int, deaths: list[tuple[int, int]]
) -> None:
    """The history is that of a training that never died, also where not every point is kept."""
    before, history_module.LIMIT = history_module.LIMIT, limit
    try:
        history, reached = History(), None
        for died, checkpoint in deaths:
            died = min(max(died, reached or 0), total)
            run(history, reached or 0, died, tested_every=tested_every, begin=reached)
            if checkpoint <= died and checkpoint >= (reached or 0):
                reached = checkpoint
            history = History.of(json.loads(json.dumps(history.dump())))
        run(history, reached or 0, total, tested_every=tested_every, begin=reached)
        unbroken = reported(total, tested_every=tested_every, begin=None)
        mine, other = history.series(0), unbroken.series(0)
        assert mine.keys() == other.keys()
        for name in other:
            if len(other[name]) * 2 <= limit and len(mine[name]) * 2 <= limit:
                assert mine[name] == other[name]
            gaps = {b - a for a, b in pairwise(mine[name])}
            assert len(gaps) <= 1
            assert mine[name][:1] == other[name][:1]
    finally:
        history_module.LIMIT = before


def test_an_attempt_from_the_beginning_forgets_everything() -> None:
    history = History()
    run(history, 0, 5, tested_every=2, begin=None)
    history.add({"begin": None})
    assert (history.series(0), history.measure, len(history)) == ({}, {}, 0)


def test_what_an_earlier_training_reported_stays() -> None:
    history = History()
    history.add({"begin": None})
    history.add({"earlier": {"loss": [9.0, 8.0]}})
    run(history, 2, 6, tested_every=9, begin=2)
    history.add({"begin": 4})
    assert history.series(0) == {"loss_hist": [9.0, 8.0, 2.0, 3.0]}


def test_a_dump_may_be_shorter() -> None:
    history = reported(100, tested_every=200, begin=None)
    short = History.of(history.dump(most=10))
    assert short.series(0) == {"loss_hist": [float(i) for i in range(0, 100, 10)]}
    assert short.measure == history.measure
    assert len(short) == 10
