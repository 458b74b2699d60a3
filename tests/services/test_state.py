"""Services and jobs while their owner lives."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dd_ray.errors import (
    BadParameter,
    JobNotFound,
    LibraryError,
    ServiceExists,
    ServiceNotFound,
    Unavailable,
)
from dd_ray.services import trainings
from dd_ray.services.jobs import Status
from dd_ray.services.reports import LEASE_S
from dd_ray.services.state import State
from tests.disks import small_disk
from tests.services.fake_cluster import Cluster, in_loop

CALL: dict[str, Any] = {"service": "s", "data": ["x"], "parameters": {"output": {}}}


async def with_service(tmp_path: Path, **settings: Any) -> tuple[Cluster, State]:
    cluster = Cluster(tmp_path, **settings)
    state = await cluster.start()
    await state.create(cluster.definition())
    return cluster, state


async def ask(state: State, request: str = "", **given: Any) -> Any:
    return await state.job("s", 1, timeout_s=given.get("timeout_s", 0.0), request=request)


@in_loop
async def test_one_of_two_creations_succeeds(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    results = await asyncio.gather(
        *(state.create(cluster.definition()) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), ServiceExists, ServiceExists]
    assert cluster.services == {"s": 1}


@in_loop
async def test_a_service_that_cannot_start_leaves_its_name(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.broken.add("s")
    state = await cluster.start()
    with pytest.raises(LibraryError, match="no such disk"):
        await state.create(cluster.definition())
    await state.check_free("s")
    assert cluster.services == {}


def full(pages: int = 1) -> Callable[[sqlite3.Connection], Any]:
    """Bounds what the state's file may have; what is large does not fit any more."""
    return lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone()


@in_loop
async def test_a_service_that_cannot_be_kept_is_not_there(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    await state._store.read(full())
    large = replace(cluster.definition(), description="x" * 100_000)
    with pytest.raises(Unavailable, match="disk is full"):
        await state.create(large)
    assert cluster.services == {}
    assert await state.views() == []
    await state._store.read(full(1_000_000))
    await state.create(large)
    assert cluster.services == {"s": 1}


@in_loop
async def test_a_deletion_that_cannot_be_kept_deletes_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        cluster, state = await with_service(disk.path)
        (cluster.repository / "0001.model").touch()
        disk.fill()
        with pytest.raises(Unavailable, match="disk is full"):
            await state.delete("s", "lib")
        assert (cluster.repository / "0001.model").exists()
        assert (await state.view("s")).ready
        disk.make_room()
        await state.delete("s", "lib")
        assert not (cluster.repository / "0001.model").exists()
        cluster.kill()


@in_loop
async def test_a_report_that_cannot_be_lent_keeps_nobody_waiting(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        cluster, state = await with_service(disk.path)
        await state.submit("s", CALL)
        (await cluster.process(1)).finish(acc=1.0)
        await cluster.until(lambda: ended(state))
        disk.fill()
        with pytest.raises(Unavailable, match="disk is full"):
            await ask(state, "first")
        disk.make_room()
        answered = await asyncio.wait_for(ask(state, "second"), LEASE_S / 10)
        assert answered.job.body == {"measure": {"acc": 1.0}}
        cluster.kill()


async def ended(state: State) -> bool:
    return (await state.view("s")).jobs[0].job.ended


@in_loop
async def test_jobs_are_numbered_and_run_one_after_the_other(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    numbers = await asyncio.gather(*(state.submit("s", CALL) for _ in range(3)))
    assert numbers == [1, 2, 3]
    for number in (1, 2, 3):
        process = await cluster.process(number)
        assert (process.work.job, process.work.attempt) == (number, 1)
        assert len(cluster.processes) == number
        process.finish(acc=number / 10)
    found = await state.job("s", 3, timeout_s=5.0)
    assert found.job.body == {"measure": {"acc": 0.3}}
    assert cluster.services == {"s": 4}  # a new model each time


@in_loop
async def test_the_seed_is_fixed_when_a_job_is_accepted(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    call = (await cluster.process(1)).work.call
    assert call["parameters"]["input"]["seed"] >= 0
    assert call["data"] == ["x"]


@in_loop
async def test_a_job_has_a_folder_as_long_as_it_lives(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    assert (cluster.repository / f".job-{process.work.key}").is_dir()
    process.finish()
    await ask(state, timeout_s=5.0)
    assert list(cluster.repository.glob(".job-*")) == []


@in_loop
async def test_a_training_that_fails_says_why_and_frees_the_service(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    await state.submit("s", CALL)
    (await cluster.process(1)).fail(BadParameter("no"))
    found = await ask(state, timeout_s=5.0)
    assert (found.job.status, found.job.error["dd_code"]) == (Status.ERROR, 1006)
    await cluster.process(2)


@in_loop
async def test_a_process_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path, job_retries=2)
    await state.submit("s", CALL)
    for number in (1, 2):
        process = await cluster.process(number)
        assert process.work.attempt == number
        process.die()
    (await cluster.process(3)).finish()
    assert (await ask(state, timeout_s=5.0)).job.status is Status.FINISHED
    assert {process.work.key for process in cluster.processes} == {cluster.processes[0].work.key}


@in_loop
async def test_too_many_deaths_are_an_error_with_the_reason(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path, job_retries=2)
    await state.submit("s", CALL)
    for number in (1, 2, 3):
        (await cluster.process(number)).die("memory ran out")
    found = await ask(state, timeout_s=5.0)
    assert found.job.status is Status.ERROR
    assert found.job.error["dd_code"] == 1007
    assert found.job.error["dd_msg"] == (
        "the training process died 3 times without getting further, at last: memory ran out"
    )
    assert len(cluster.processes) == 3


@in_loop
async def test_a_checkpoint_further_on_forgives_the_deaths_before(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path, job_retries=1)
    await state.submit("s", CALL)
    for number in range(1, 6):
        work = (await cluster.process(number)).work
        points = [{"checkpoint": number}]
        assert await state.report("s", 1, work.key, work.attempt, 0, points)
        cluster.processes[-1].die()
    (await cluster.process(6)).finish()
    assert (await ask(state, timeout_s=5.0)).job.status is Status.FINISHED


@in_loop
async def test_reports_count_once_and_only_of_the_present_attempt(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    key = (await cluster.process(1)).work.key

    async def report(attempt: int, batch: int, iteration: int, *, key: str = key) -> bool:
        point = {"iteration": iteration, "last": {}, "history": {"a": float(iteration)}}
        return await state.report("s", 1, key, attempt, batch, [point])

    assert await report(1, 0, 0)
    assert await asyncio.gather(report(1, 1, 1), report(1, 1, 1)) == [True, True]
    assert await report(1, 1, 1)
    assert not await report(1, 2, 2, key="another")
    cluster.processes[0].die()
    await cluster.process(2)
    assert not await report(1, 2, 2)
    assert await report(2, 0, 7)
    assert (await ask(state)).history == {"a_hist": [0.0, 1.0, 7.0]}
    (await cluster.process(2)).finish()
    assert (await ask(state, timeout_s=5.0)).history == {"a_hist": [0.0, 1.0, 7.0]}
    assert not await report(2, 1, 8)


@in_loop
async def test_a_long_history_is_kept_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "_FEW_POINTS", 20)
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    work = (await cluster.process(1)).work
    for batch in range(100):
        points = [{"iteration": batch, "history": {"a": float(batch)}}]
        assert await state.report("s", 1, work.key, 1, batch, points)
    rows = await state._store.read(lambda c: c.execute("SELECT count(*) FROM points").fetchone()[0])
    assert rows < 100
    state = await cluster.start()
    assert (await ask(state)).history == {"a_hist": [float(i) for i in range(100)]}
    assert await state.report("s", 1, work.key, 1, 99, points)
    assert len((await ask(state)).history["a_hist"]) == 100


@in_loop
async def test_a_final_report_goes_to_one_of_two_that_ask_together(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    (await cluster.process(1)).finish()
    await ask(state, "first", timeout_s=5.0)
    second = asyncio.create_task(ask(state, "second"))
    await asyncio.sleep(0.01)
    assert not second.done()
    await state.confirm("s", 1, request="first")
    with pytest.raises(JobNotFound):
        await second
    with pytest.raises(JobNotFound):
        await ask(state, "first")
    assert (await state.view("s")).jobs == []


@in_loop
async def test_a_report_that_was_not_delivered_is_there_for_the_next(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    (await cluster.process(1)).finish(acc=1.0)
    await ask(state, "first", timeout_s=5.0)
    second = asyncio.create_task(ask(state, "second"))
    await asyncio.sleep(0.01)
    await state.release("s", 1, request="first")
    assert (await second).job.body == {"measure": {"acc": 1.0}}
    cluster.now += LEASE_S  # the second says nothing, neither yes nor no
    assert (await ask(state, "third")).job.body == {"measure": {"acc": 1.0}}
    await state.confirm("s", 1, request="second")
    assert (await ask(state, "third")).job.ended


@in_loop
async def test_a_blocking_training_answers_its_caller_alone(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    training = asyncio.create_task(state.train("s", CALL))
    process = await cluster.process(1)
    point = {"iteration": 0, "last": {"a": 1.0}, "history": {"a": 1.0}}
    await state.report("s", process.work.job, process.work.key, 1, 0, [point])
    process.finish(acc=1.0)
    done = await training
    assert (done.job.body, done.history) == ({"measure": {"acc": 1.0}}, {"a_hist": [1.0]})
    assert (await state.view("s")).jobs == []
    assert len(await state.past_jobs()) == 1


@in_loop
async def test_deleting_stops_the_jobs_and_keeps_what_is_asked(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    (cluster.repository / "0001.model").touch()
    (cluster.repository / "kept").touch()
    deletion = asyncio.create_task(state.delete("s", "lib"))
    await process.stopped.wait()
    with pytest.raises(ServiceNotFound):
        await state.view("s")
    with pytest.raises(ServiceExists):
        await state.check_free("s")
    process.finish()
    await deletion
    assert cluster.services == {}
    names = {path.name for path in cluster.repository.iterdir()}
    assert "kept" in names
    assert "0001.model" not in names
    await state.create(cluster.definition())
    assert await state.submit("s", CALL) == 1


@in_loop
async def test_names_wait_for_a_change(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    seen, names = await state.names()
    assert names == ["s"]
    waiting = asyncio.create_task(state.names(seen))
    await state.create(cluster.definition("t"))
    later, names = await waiting
    assert names == ["s", "t"]
    assert later > seen


@in_loop
async def test_an_end_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "_AGAIN_S", 0.01)
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)

    await state._store.read(full())
    process.finish(text="x" * 100_000)  # type: ignore[arg-type]
    assert (await ask(state, timeout_s=0.2)).job.status is Status.RUNNING
    with pytest.raises(Exception, match="database or disk is full"):
        await state.submit("s", CALL | {"data": ["x" * 100_000]})
    await state._store.read(full(1_000_000))
    assert (await ask(state, timeout_s=5.0)).job.status is Status.FINISHED
    assert await state.submit("s", CALL) == 2


@in_loop
async def test_people_see_the_last_jobs(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path, job_history=2)
    for number in (1, 2, 3):
        await state.submit("s", CALL)
        (await cluster.process(number)).finish(acc=float(number))
        await state.job("s", number, timeout_s=5.0, request="r")
        await state.confirm("s", number, request="r")
    past = await state.past_jobs()
    assert [each.view.job.id for each in past] == [3, 2]
    assert await state.past_jobs("t") == []
