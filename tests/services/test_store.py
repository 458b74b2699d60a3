"""The state's file: what is in it is on the disk, and only one process has it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from dd_ray.errors import InternalError, Unavailable
from dd_ray.services import schema
from dd_ray.services.definition import ServiceDefinition
from dd_ray.services.handout import Handout
from dd_ray.services.history import History
from dd_ray.services.jobs import Failed, Job, Started, Succeeded, advance
from dd_ray.services.schema import MIGRATIONS
from dd_ray.services.store import FILE, HomeInUse, Store

DEFINITION = ServiceDefinition(
    name="café",
    mllib="xgboost",
    connector="csv",
    type="supervised",
    description="d",
    repository="/r",
    parameters={"input": {"connector": "csv"}, "mllib": {"nclasses": 2}},
)
JOB = Job(service="café", id=1, key="k1", accepted=5.0)
POINTS = [{"iteration": 0, "last": {"a": 1.0}, "history": {"a": 1.0}}]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def reopened(store: Store, home: Path) -> Store:
    store.close()
    return Store(home)


async def keep_all(store: Store) -> None:
    await store.commit(
        schema.put_service(DEFINITION, version=3, next_job=2, next_blocking=-4),
        *schema.add_job(JOB, {"data": ["a,b"]}, "/r"),
    )


def read(store: Store, work: Any) -> Any:
    return run(store.read(work))


def test_services_and_jobs_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    run(keep_all(store))
    store = reopened(store, tmp_path)
    (service,) = read(store, schema.services)
    assert service == schema.StoredService(
        definition=DEFINITION, version=3, next_job=2, next_blocking=-4
    )
    (job,) = read(store, schema.jobs)
    assert job == schema.StoredJob(
        job=JOB,
        ended=None,
        repository="/r",
        folder=False,
        held=True,
        handout=Handout(),
        call={"data": ["a,b"]},
        batches=0,
    )
    store.close()


def test_a_job_on_its_way(store: Store) -> None:
    run(keep_all(store))
    running = advance(JOB, Started())
    run(store.commit(schema.set_job(running), schema.set_folder("k1", True)))
    run(store.commit(schema.add_points("k1", 1, 0, POINTS), schema.add_points("k1", 1, 1, POINTS)))
    run(store.commit(schema.add_points("k1", 1, 1, POINTS)))  # sent twice
    (job,) = read(store, schema.jobs)
    assert (job.job, job.folder, job.batches) == (running, True, 2)
    history = read(store, lambda c: schema.history(c, "k1"))
    assert history.series(0) == {"a_hist": [1.0, 1.0]}
    run(store.commit(*schema.replace_points("k1", 1, history.dump(), batch=1)))
    (job,) = read(store, schema.jobs)
    assert job.batches == 2
    run(store.commit(schema.add_points("k1", 1, 2, POINTS)))
    assert len(read(store, lambda c: schema.history(c, "k1"))) == 3


def test_the_end_of_a_job_drops_its_call(store: Store) -> None:
    run(keep_all(store))
    ended = advance(JOB, Succeeded({"measure": {"acc": 1.0}}))
    history = History()
    history.add(POINTS[0])
    run(store.commit(*schema.end_job(ended, history, now=9.0)))
    (job,) = read(store, schema.jobs)
    assert (job.job, job.ended, job.call, job.held) == (ended, 9.0, {}, True)
    run(store.commit(schema.set_handout("k1", Handout(holder="r", until=12.0))))
    (job,) = read(store, schema.jobs)
    assert job.handout == Handout(holder="r", until=12.0)
    assert read(store, schema.past_jobs) == []
    run(store.commit(*schema.leave_to_people("k1", history, most=10)))
    (past,) = read(store, schema.past_jobs)
    assert (past.view.job, past.ended, past.view.elapsed_s) == (ended, 9.0, 4.0)
    assert past.view.history == {"a_hist": [1.0]}


def test_only_the_last_jobs_are_kept_for_people(store: Store) -> None:
    async def many() -> None:
        for number in range(6):
            job = advance(
                Job(service=f"s{number % 2}", id=number, key=str(number), accepted=float(number)),
                Failed({"code": 500}),
            )
            await store.commit(
                *schema.add_job(job, {}, "/r"),
                *schema.end_job(job, History(), now=float(number)),
            )
            if number == 0:
                await store.commit(schema.set_folder("0", True))
            await store.commit(*schema.leave_to_people(job.key, History(), most=4))

    run(many())
    past = read(store, lambda c: schema.past_jobs(c, most=10))
    # the oldest one still has files that are to be removed
    assert [each.view.job.id for each in past] == [5, 4, 3, 2, 0]
    assert [e.view.job.id for e in read(store, lambda c: schema.past_jobs(c, "s1", most=1))] == [5]
    assert [e.view.job.id for e in read(store, lambda c: schema.past_jobs(c, key="3"))] == [3]
    (rows,) = read(store, lambda c: c.execute("SELECT count(*) FROM points").fetchone())
    assert rows == 4


def test_a_deleted_service_leaves_its_jobs_to_people(store: Store) -> None:
    run(keep_all(store))
    run(store.commit(*schema.drop_service("café")))
    assert read(store, schema.services) == []
    assert not read(store, schema.jobs)[0].held


def test_answers_are_remembered_for_an_hour(store: Store) -> None:
    run(store.commit(*schema.add_answer("r1", {"a": 1}, now=0.0)))
    run(store.commit(*schema.add_answer("r2", None, now=3000.0)))
    assert read(store, lambda c: schema.answered(c, "r1")) == ({"a": 1},)
    assert read(store, lambda c: schema.answered(c, "r2")) == (None,)
    assert read(store, lambda c: schema.answered(c, "r3")) is None
    run(store.commit(*schema.add_answer("r3", None, now=3700.0)))
    assert read(store, lambda c: schema.answered(c, "r1")) is None


def test_changes_that_arrive_together_are_one_transaction(store: Store) -> None:
    transactions: list[str] = []

    async def together() -> None:
        await store.read(lambda c: c.set_trace_callback(transactions.append))
        inserts = [
            store.commit(*schema.add_answer(str(number), number, now=0.0)) for number in range(100)
        ]
        await asyncio.gather(*inserts)

    run(together())
    commits = [statement for statement in transactions if statement == "COMMIT"]
    assert 1 <= len(commits) <= 10
    assert read(store, lambda c: schema.answered(c, "99")) == (99,)


def test_a_change_that_fails_fails_alone_and_whole(store: Store) -> None:
    async def together() -> list[Any]:
        bad = (*schema.add_answer("half", 1, now=0.0), ("INSERT INTO nowhere VALUES (1)", ()))
        return await asyncio.gather(
            store.commit(*schema.add_answer("before", 1, now=0.0)),
            store.commit(*bad),
            store.commit(*schema.add_answer("after", 1, now=0.0)),
            return_exceptions=True,
        )

    before, bad, after = run(together())
    assert (before, after) == (None, None)
    assert isinstance(bad, InternalError)
    assert "cannot keep its state in DD_RAY_HOME: no such table: nowhere" in bad.message
    found = [read(store, lambda c, n=n: schema.answered(c, n)) for n in ("before", "half", "after")]
    assert found == [(1,), None, (1,)]


def test_a_full_disk_is_said_and_passes(store: Store) -> None:
    def limit(pages: int) -> Any:
        return lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    (pages,) = read(store, lambda c: c.execute("PRAGMA page_count").fetchone())
    read(store, limit(pages))
    large = schema.add_answer("large", "x" * 100_000, now=0.0)
    said = "cannot keep its state in DD_RAY_HOME: database or disk is full"
    with pytest.raises(Unavailable, match=said):
        run(store.commit(*large))
    assert read(store, lambda c: schema.answered(c, "large")) is None
    read(store, limit(1_000_000))
    run(store.commit(*large))
    assert read(store, lambda c: schema.answered(c, "large")) is not None


def test_a_home_has_one_server(store: Store, tmp_path: Path) -> None:
    with pytest.raises(HomeInUse, match=r"another dd-ray keeps its state in .*DD_RAY_HOME"):
        Store(tmp_path)
    reopened(store, tmp_path).close()


WRITER = """
import asyncio, sys
from pathlib import Path
from dd_ray.services import schema
from dd_ray.services.store import Store

async def main():
    store = Store(Path(sys.argv[1]))
    number = 0
    while True:
        await store.commit(*schema.add_answer(str(number), number, now=0.0))
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


def test_what_was_answered_survives_a_kill_and_frees_the_home(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    answered = [int(line) for line in process.stdout.read().splitlines() if line]
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    last = max(answered, default=19)
    for number in range(last + 1):
        assert read(store, lambda c, n=number: schema.answered(c, str(n))) == (number,)
    store.close()


def test_it_syncs_every_transaction(store: Store) -> None:
    modes = read(
        store,
        lambda c: [
            c.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ],
    )
    assert modes == ["wal", 2]


def test_a_file_of_a_newer_version_is_left_alone(store: Store, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(InternalError, match="written by a newer dd-ray"):
        Store(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.close()
    Store(tmp_path).close()


def test_an_older_file_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    run(keep_all(store))
    store.close()
    monkeypatch.setattr(
        "dd_ray.services.store.MIGRATIONS", [*MIGRATIONS, "CREATE TABLE more (a INTEGER)"]
    )
    store = Store(tmp_path)
    assert read(store, lambda c: c.execute("SELECT count(*) FROM more").fetchone()[0]) == 0
    assert len(read(store, schema.jobs)) == 1
    store.close()
    Store(tmp_path).close()


def test_a_migration_is_made_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).close()
    broken = "CREATE TABLE more (a INTEGER); CREATE TABLE jobs (a INTEGER)"
    with monkeypatch.context() as patch:
        patch.setattr("dd_ray.services.store.MIGRATIONS", [*MIGRATIONS, broken])
        with pytest.raises(InternalError, match="already exists"):
            Store(tmp_path)
    store = Store(tmp_path)
    tables = read(store, lambda c: [r[0] for r in c.execute("SELECT name FROM sqlite_master")])
    assert "more" not in tables
    store.close()


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(InternalError, match=r"cannot use .*state\.db: file is not a database"):
        Store(tmp_path)


def test_a_store_in_memory_ends_with_its_owner() -> None:
    store = Store(None)
    thread = store._thread
    run(keep_all(store))
    del store
    thread.join(10)
    assert not thread.is_alive()
