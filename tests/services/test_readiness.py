"""Whether a server and its services are ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dd_ray.services.placement import Place
from dd_ray.services.readiness import readiness
from dd_ray.services.records import Readiness
from tests.services.fake_cluster import Cluster, in_loop


@in_loop
async def test_a_state_that_does_not_answer_is_what_is_missing() -> None:
    async def away() -> Readiness:
        raise ConnectionError("no such actor 10.0.0.7")

    async def never() -> Readiness:
        await asyncio.Event().wait()
        raise AssertionError

    for asked in (away(), never()):
        answer = await readiness(asked, patience_s=0.01)
        assert answer.code == 503
        assert answer.body == {
            "state": False,
            "ready": False,
            "missing": ["the state does not answer"],
        }


@in_loop
async def test_services_that_come_back_are_waited_for_and_broken_ones_are_not(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    for name in ("a", "b", "empty"):
        await state.create(cluster.definition(name))
    cluster.power_off()
    cluster.broken.add("b")
    cluster.without_model["empty"] = "no model in /x"
    cluster.deploying.clear()
    state = await cluster.start()
    answer = await readiness(state.readiness())
    assert answer.code == 503
    assert answer.body is not None
    assert answer.body["services"] == {"count": 3, "ready": 0, "starting": 3}
    assert answer.body["missing"] == ["3 of 3 services are being started"]
    cluster.deploying.set()

    async def ready() -> bool:
        return (await readiness(state.readiness())).code == 200

    await cluster.until(ready)
    assert await state.readiness() == Readiness(count=3, ready=1, starting=0)
    assert (await state.view("a")).ready
    assert (await state.view("empty")).problem == "no model in /x"
    assert "no such disk" in (await state.view("b")).problem


@in_loop
async def test_a_service_without_a_replica_is_not_ready(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    await state.create(cluster.definition())
    cluster.services.clear()
    view = await state.view("s")
    assert (view.ready, view.problem) == (False, "no replica is up")
    for lost in (Place(waits="needs 1 GPU, 0 of 1 are free"), Place(never="needs 1 GPU, but no")):
        cluster.service_room = lost
        told = (await state.view("s")).problem
        assert told == f"no replica is up: it {lost.waits or lost.never}"


@in_loop
async def test_a_service_that_cannot_come_back_for_want_of_room_says_so(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    state = await cluster.start()
    await state.create(cluster.definition())
    cluster.power_off()
    cluster.deploying.clear()
    cluster.service_room = Place(waits="needs 1 GPU, 0 of 0 are free")
    state = await cluster.start()
    told = (await state.view("s")).problem
    assert told == "the service is being started: it needs 1 GPU, 0 of 0 are free"
    cluster.deploying.set()

    async def ready() -> bool:
        return (await state.view("s")).ready

    await cluster.until(ready)
