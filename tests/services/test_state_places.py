"""Trainings that have no place, or not yet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dd_ray.errors import BadParameter, BadRequest
from dd_ray.services.jobs import Status
from dd_ray.services.placement import Place
from tests.services.fake_cluster import WAIT_S, in_loop
from tests.services.test_state import CALL, ask, with_service


@in_loop
async def test_what_never_can_run_is_refused(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    cluster.room = Place(never="needs 9 GPUs, but no node has more than 0")
    for send in (state.submit, state.train):
        with pytest.raises(BadParameter, match="can never run here: it needs 9 GPUs"):
            await send("s", CALL)
    cluster.room = Place()
    assert await state.submit("s", CALL) == 1


@in_loop
async def test_a_job_without_room_says_what_it_waits_for(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    cluster.room = Place(waits="needs 1 GPU, 0 of 1 are free")
    cluster.may_begin.clear()
    await state.submit("s", CALL)
    await state.submit("s", CALL)
    await asyncio.sleep(0.01)
    assert (await ask(state)).waits == "needs 1 GPU, 0 of 1 are free"
    second = await state.job("s", 2, timeout_s=0.0)
    assert second.waits == "another training of this service comes first"
    shown = [job.waits for job in (await state.view("s")).jobs]
    assert shown == ["needs 1 GPU, 0 of 1 are free", second.waits]
    cluster.may_begin.set()
    await cluster.process(1)
    await asyncio.sleep(0.01)
    assert (await ask(state)).waits == ""


@in_loop
async def test_a_job_whose_room_is_lost_waits_for_it(tmp_path: Path) -> None:
    """It was accepted when there was room: a node may come again."""
    cluster, state = await with_service(tmp_path)
    cluster.may_begin.clear()
    await state.submit("s", CALL)
    cluster.room = Place(never="needs 1 GPU 2 times, but there is room for 1 at most")
    await asyncio.sleep(0.01)
    assert (await ask(state)).waits == cluster.room.never
    cluster.may_begin.set()
    await cluster.process(1)


@in_loop
async def test_a_training_ends_well_although_its_service_has_no_place(tmp_path: Path) -> None:
    """Its model is served as soon as there is one."""
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    del cluster.services["s"]  # with its node
    cluster.service_room = Place(waits="needs 1 GPU, 0 of 1 are free")
    cluster.deploying.clear()
    process.finish(acc=0.5)
    assert (await ask(state, timeout_s=WAIT_S)).job.status is Status.FINISHED
    problem = (await state.view("s")).problem
    assert problem == "no replica is up: it needs 1 GPU, 0 of 1 are free"
    assert (await state.readiness()).starting == 0  # the server is as ready as it was
    cluster.deploying.set()

    async def is_served() -> bool:
        return cluster.services.get("s") == 2

    await cluster.until(is_served)
    assert (await state.view("s")).problem == ""


@in_loop
async def test_wrong_parameters_are_the_trainings_to_find(tmp_path: Path) -> None:
    _, state = await with_service(tmp_path)
    assert await state.submit("s", CALL | {"parameters": {"mllib": {"iterations": "x"}}}) == 1


@in_loop
async def test_a_full_queue_refuses(tmp_path: Path) -> None:
    _, state = await with_service(tmp_path, job_queue=2)
    for _ in range(3):
        await state.submit("s", CALL)
    with pytest.raises(BadRequest, match="DD_RAY_JOB_QUEUE"):
        await state.submit("s", CALL)
