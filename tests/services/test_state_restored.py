"""A state that died and came back: nothing that was accepted is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dd_ray.attempts import open_job
from dd_ray.errors import JobNotFound, ServiceNotFound
from dd_ray.services import deploying
from dd_ray.services.jobs import Status
from dd_ray.services.reports import LEASE_S
from dd_ray.services.state import State
from tests.services.fake_cluster import Cluster, in_loop
from tests.services.test_state import CALL, ask, with_service


async def started(cluster: Cluster, state: State, name: str) -> None:
    """Waits until a service can be called."""

    async def without_problem() -> bool:
        return not (await state.view(name)).problem

    await cluster.until(without_problem)


@in_loop
async def test_services_come_back_as_they_were(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.create(cluster.definition("other"))
    cluster.power_off()
    state = await cluster.start()
    assert [view.definition for view in await state.views()] == [
        cluster.definition("s"),
        cluster.definition("other"),
    ]
    await started(cluster, state, "s")
    await started(cluster, state, "other")
    assert cluster.services.keys() == {"s", "other"}


@in_loop
async def test_deleted_services_stay_away(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.delete("s", "")
    state = await cluster.start()
    with pytest.raises(ServiceNotFound):
        await state.view("s")


@in_loop
async def test_a_service_is_there_while_it_starts_and_says_so(tmp_path: Path) -> None:
    cluster, _ = await with_service(tmp_path)
    cluster.power_off()
    cluster.deploying.clear()
    state = await cluster.start()
    assert (await state.view("s")).problem == "the service is being started"
    cluster.deploying.set()
    await started(cluster, state, "s")


@in_loop
async def test_a_service_that_cannot_start_says_why_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "_FIRST_PAUSE_S", 0.01)
    cluster, _ = await with_service(tmp_path)
    cluster.power_off()
    cluster.broken.add("s")
    state = await cluster.start()
    problem = "the service could not be started: no such disk"

    async def says_why() -> bool:
        return (await state.view("s")).problem == problem

    await cluster.until(says_why)
    cluster.broken.clear()
    await started(cluster, state, "s")
    await state.delete("s", "")


@in_loop
async def test_a_service_that_cannot_start_can_be_deleted(tmp_path: Path) -> None:
    cluster, _ = await with_service(tmp_path)
    cluster.power_off()
    cluster.broken.add("s")
    state = await cluster.start()
    await state.delete("s", "")
    await state.check_free("s")


@in_loop
async def test_what_runs_without_a_service_is_ended(tmp_path: Path) -> None:
    """It was being created, or deleted, when the state died."""
    cluster, _ = await with_service(tmp_path)
    cluster.services["half"] = 1
    state = await cluster.start()
    await state.create(cluster.definition("half"))
    assert cluster.services == {"s": 1, "half": 1}


@in_loop
async def test_services_start_when_it_is_not_known_what_runs_without_one(tmp_path: Path) -> None:
    cluster, _ = await with_service(tmp_path)
    cluster.power_off()
    cluster.cannot_list = True
    state = await cluster.start()
    await started(cluster, state, "s")
    await state.create(cluster.definition("new"))
    assert cluster.services.keys() == {"s", "new"}


@in_loop
async def test_a_training_goes_on_beside_the_state(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    point = {"iteration": 0, "last": {"a": 1.0}, "history": {"a": 1.0}}
    await state.report("s", 1, process.work.key, 1, 0, [point])
    state = await cluster.start()
    assert (await ask(state)).job.status is Status.RUNNING
    assert await state.report("s", 1, process.work.key, 1, 0, [point])  # sent again
    assert await state.report("s", 1, process.work.key, 1, 1, [point | {"iteration": 1}])
    process.finish(acc=1.0)
    found = await ask(state, timeout_s=5.0)
    assert found.job.body == {"measure": {"acc": 1.0}}
    assert found.history == {"a_hist": [1.0, 1.0]}
    assert found.measure == {"a": 1.0}
    assert len(cluster.processes) == 1
    assert cluster.services == {"s": 2}


@in_loop
async def test_a_training_that_ended_meanwhile_is_taken_up(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    cluster.kill()
    process.finish(acc=1.0)
    state = await cluster.start()
    assert (await ask(state, timeout_s=5.0)).job.body == {"measure": {"acc": 1.0}}
    assert len(cluster.processes) == 1


@in_loop
async def test_jobs_go_on_and_wait_again_after_the_power_went(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    for _ in range(3):
        await state.submit("s", CALL)
    first = await cluster.process(1)
    cluster.power_off()
    state = await cluster.start()
    again = await cluster.process(2)
    assert (again.work.key, again.work.attempt) == (first.work.key, 2)
    assert again.work.call == first.work.call  # with the same seed
    for number in (2, 3, 4):
        (await cluster.process(number)).finish()
    for number in (1, 2, 3):
        found = await state.job("s", number, timeout_s=5.0)
        assert found.job.status is Status.FINISHED
    assert await state.submit("s", CALL) == 4


@in_loop
async def test_a_stop_of_the_server_is_no_death_of_a_job(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path, job_retries=0)
    await state.submit("s", CALL)
    for number in (1, 2, 3):
        await cluster.process(number)
        cluster.power_off()
        state = await cluster.start()
    (await cluster.process(4)).finish()
    assert (await ask(state, timeout_s=5.0)).job.status is Status.FINISHED


@in_loop
async def test_a_stopped_job_does_not_go_on(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    stop = asyncio.create_task(state.stop("s", 1))
    await process.stopped.wait()
    cluster.power_off()
    stop.cancel()
    state = await cluster.start()
    assert (await ask(state, timeout_s=5.0)).job.status is Status.TERMINATED
    assert len(cluster.processes) == 1


@in_loop
async def test_a_stop_that_comes_again_finds_its_job(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    stop = asyncio.create_task(state.stop("s", 1, request="r"))
    await process.stopped.wait()
    cluster.kill()
    stop.cancel()
    process.stopped.clear()
    state = await cluster.start()
    again = asyncio.create_task(state.stop("s", 1, request="r"))
    await process.stopped.wait()
    process.finish()
    assert await again is not None
    assert await state.stop("s", 1, request="r") == await again


@in_loop
async def test_requests_that_come_again_are_carried_out_once(tmp_path: Path) -> None:
    """The state died after it had done what was asked, and before it had said so."""
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    await state.create(cluster.definition(), request="create")
    assert await state.submit("s", CALL, request="submit") == 1
    state = await cluster.start()
    await state.create(cluster.definition(), request="create")
    assert await state.submit("s", CALL, request="submit") == 1
    assert await state.submit("s", CALL, request="another") == 2
    stopped_s = await state.stop("s", 2, request="stop")
    (await cluster.process(1)).finish()
    await state.delete("s", "", request="delete")
    state = await cluster.start()
    await state.delete("s", "", request="delete")
    assert await state.stop("s", 2, request="stop") == stopped_s
    with pytest.raises(ServiceNotFound):
        await state.delete("s", "", request="other")


@in_loop
async def test_requests_that_come_twice_at_a_time_are_one(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    cluster.deploying.clear()
    both = [asyncio.create_task(state.create(cluster.definition(), request="r")) for _ in range(2)]
    await asyncio.sleep(0.01)
    both[0].cancel()  # who asked first is gone, the other one is told
    cluster.deploying.set()
    await both[1]
    assert (await state.view("s")).definition == cluster.definition()


@in_loop
async def test_a_blocking_training_is_answered_by_the_next_state(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    waits = asyncio.create_task(state.train("s", CALL, request="r"))
    process = await cluster.process(1)
    state = await cluster.start()
    waits.cancel()
    again = asyncio.create_task(state.train("s", CALL, request="r"))
    process.finish(acc=1.0)
    assert (await again).job.body == {"measure": {"acc": 1.0}}
    state = await cluster.start()
    assert (await state.train("s", CALL, request="r")).job.body == {"measure": {"acc": 1.0}}
    assert len(cluster.processes) == 1


@in_loop
async def test_a_report_stays_with_who_has_it(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    (await cluster.process(1)).finish(acc=1.0)
    await ask(state, "first", timeout_s=5.0)
    state = await cluster.start()
    second = asyncio.create_task(ask(state, "second"))
    assert (await ask(state, "first")).job.body == {"measure": {"acc": 1.0}}
    await asyncio.sleep(0.01)
    assert not second.done()
    await state.confirm("s", 1, request="first")
    with pytest.raises(JobNotFound):
        await second
    state = await cluster.start()
    with pytest.raises(JobNotFound):
        await ask(state)


@in_loop
async def test_an_unconfirmed_report_is_given_again_after_a_while(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    (await cluster.process(1)).finish(acc=1.0)
    await ask(state, "first", timeout_s=5.0)
    cluster.power_off()
    state = await cluster.start()
    cluster.now += LEASE_S
    assert (await ask(state, "second")).job.body == {"measure": {"acc": 1.0}}


@in_loop
async def test_what_an_ended_job_left_is_removed_at_the_start(tmp_path: Path) -> None:
    cluster, state = await with_service(tmp_path)
    await state.submit("s", CALL)
    process = await cluster.process(1)
    process.finish()
    await ask(state, timeout_s=5.0)
    open_job(str(cluster.repository), process.work.key)
    await state._store.commit(("UPDATE jobs SET folder = 1", ()))
    await cluster.start()
    assert list(cluster.repository.glob(".job-*")) == []


@in_loop
async def test_numbers_of_changes_go_on(tmp_path: Path) -> None:
    """Who waits for a change of the names compares with a number of the state before."""
    cluster, state = await with_service(tmp_path)
    seen, _ = await state.names()
    cluster.now += 1
    state = await cluster.start()
    later, names = await state.names(seen)
    assert (later > seen, names) == (True, ["s"])


@in_loop
async def test_every_moment_may_be_the_last(tmp_path: Path) -> None:
    """Killed after any number of steps of the loop, a job still ends once, with its number."""
    cluster, state = await with_service(tmp_path, job_retries=99)
    number, delays = 0, iter(range(200))
    for delay in delays:
        task: Any = asyncio.create_task(state.submit("s", CALL, request=f"r{delay}"))
        for _ in range(delay % 40):
            await asyncio.sleep(0)
        cluster.kill()
        task.cancel()
        state = await cluster.start()
        number += 1
        assert await state.submit("s", CALL, request=f"r{delay}") == number
        if delay == 60:
            break
    views = (await state.view("s")).jobs
    assert [view.job.id for view in views] == list(range(1, number + 1))
    assert len({view.job.key for view in views}) == number
