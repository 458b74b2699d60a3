"""Jobs that are told to end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dd_ray.errors import JobNotFound
from dd_ray.services.jobs import Status
from tests.services.fake_cluster import in_loop
from tests.services.test_state import CALL, ask, with_service


@in_loop
async def test_a_running_job_is_stopped_and_gone(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    cluster.now += 7
    stop = asyncio.create_task(state.stop("s", 1))
    await process.stopped.wait()
    assert not stop.done()
    process.finish()
    assert await stop == 7.0
    with pytest.raises(JobNotFound):
        await ask(state)
    (past,) = await state.past_jobs()
    assert past.view.job.status is Status.TERMINATED


@in_loop
async def test_a_queued_job_is_stopped_without_beginning(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    await state.submit("s", CALL)
    await cluster.process(1)
    assert await state.stop("s", 2) is not None
    cluster.processes[0].finish()
    await ask(state, timeout_s=5.0)
    assert len(cluster.processes) == 1


@in_loop
async def test_a_job_that_waits_for_its_place_is_stopped(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    cluster.may_begin.clear()
    await state.submit("s", CALL)
    stop = asyncio.create_task(state.stop("s", 1))
    await asyncio.sleep(0.01)
    cluster.may_begin.set()
    process = await cluster.process(1)
    await process.stopped.wait()
    process.die()
    assert await stop is not None


@in_loop
async def test_an_ended_job_is_not_stopped_but_kept(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    (await cluster.process(1)).finish()
    await ask(state, "first", timeout_s=5.0)
    await state.release("s", 1, request="first")
    assert await state.stop("s", 1) is None
    assert (await ask(state)).job.ended
