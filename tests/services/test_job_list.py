"""The list of all jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dd_ray.errors import LibraryError
from dd_ray.services.job_list import job_list
from dd_ray.services.state import State
from tests.services.fake_cluster import Cluster, in_loop

CALL: dict[str, Any] = {"service": "s", "data": ["x"], "parameters": {"output": {}}}


async def listed(state: State, service: str = "", most: int = 100) -> list[dict[str, Any]]:
    past = await state.past_jobs(service, most=most)
    return job_list(await state.views(), past, most=most)


async def ended(cluster: Cluster, state: State, number: int, *, taken: bool) -> None:
    """The `number`-th job of the cluster succeeds; its report is taken, or not."""
    cluster.now += 10
    job = await state.submit("s", CALL)
    (await cluster.process(number)).finish(acc=0.5)
    await state.job("s", job, timeout_s=5.0, request="r")
    await (state.confirm if taken else state.release)("s", job, request="r")


@in_loop
async def test_all_jobs_are_listed_and_no_report_is_taken(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    await state.create(cluster.definition())
    await ended(cluster, state, 1, taken=True)
    await ended(cluster, state, 2, taken=False)
    cluster.now += 10
    await state.submit("s", CALL)
    process = await cluster.process(3)
    for _ in range(2):  # looking changes nothing
        found = await listed(state)
    assert [(item["job"], item["status"], item["report"]) for item in found] == [
        (3, "running", True),
        (2, "finished", True),
        (1, "finished", False),
    ]
    assert [item["ended"] for item in found] == [None, None, 1010.0]
    assert (await state.job("s", 2, timeout_s=0.0)).job.body == {"measure": {"acc": 0.5}}
    process.fail(LibraryError("it broke"))
    await state.job("s", 3, timeout_s=5.0, request="r")
    await state.confirm("s", 3, request="r")
    (newest, *_) = await listed(state)
    assert (newest["status"], newest["Error"]["dd_msg"]) == ("error", "it broke")


@in_loop
async def test_the_past_has_a_bound_outlives_services_and_restarts(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, job_history=2)
    state = await cluster.start()
    await state.create(cluster.definition())
    for number in (1, 2, 3):
        await ended(cluster, state, number, taken=True)
    assert [item["job"] for item in await listed(state)] == [3, 2]
    assert [item["job"] for item in await listed(state, most=1)] == [3]
    assert await listed(state, "other") == []
    await state.delete("s", "mem")
    state = await cluster.start()
    assert [(item["service"], item["job"]) for item in await listed(state)] == [("s", 3), ("s", 2)]
