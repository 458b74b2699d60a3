"""Joining predict calls."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dd_ray.services.batching import Batcher
from dd_ray.services.stats import Stats
from dd_ray.services.tickets import Limits
from tests.services.fake_pipeline import FakePipeline


def body(*data: str, **parameters: Any) -> bytes:
    call: dict[str, Any] = {"service": "s", "data": list(data)}
    if parameters:
        call["parameters"] = parameters
    return json.dumps(call).encode()


def played(
    play: Callable[[Batcher], Coroutine[Any, Any, Any]],
    pipeline: FakePipeline,
    *,
    stats: Stats | None = None,
    **limits: Any,
) -> Any:
    """What `play` returns, given a batcher over the pipeline on a loop of its own."""

    async def run() -> Any:
        batcher = Batcher(pipeline, stats or Stats(), limits=Limits(**limits))  # type: ignore[arg-type]
        try:
            return await play(batcher)
        finally:
            pipeline.go.set()
            batcher.close()

    return asyncio.run(run())


async def held(pipeline: FakePipeline) -> None:
    """Waits until the model has begun."""
    await asyncio.to_thread(pipeline.held.wait, 10)


def answers(rendered: list[Any]) -> list[Any]:
    return [json.loads(each.content)["body"]["predictions"] for each in rendered]


def test_what_queued_while_the_model_was_busy_is_one_batch() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> list[Any]:
        pipeline.go.clear()
        first = asyncio.create_task(batcher.predict(body("1")))
        await held(pipeline)
        later = [asyncio.create_task(batcher.predict(body(str(i)))) for i in (2, 3, 4)]
        await asyncio.sleep(0)  # lets them queue
        pipeline.go.set()
        return await asyncio.gather(first, *later)

    assert answers(played(play, pipeline)) == [[2.0], [4.0], [6.0], [8.0]]
    assert pipeline.batches == [[1.0], [2.0, 3.0, 4.0]]


def test_calls_that_come_together_need_no_busy_model() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        return await asyncio.gather(*(batcher.predict(body(str(i))) for i in range(5)))

    played(play, pipeline)
    assert pipeline.batches == [[0.0, 1.0, 2.0, 3.0, 4.0]]


def test_only_calls_with_the_same_parameters_share_a_batch_and_order_is_kept() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        calls = [body("1"), body("2"), body("3", mllib={"x": 1}), body("4")]
        return await asyncio.gather(*(batcher.predict(call) for call in calls))

    assert answers(played(play, pipeline)) == [[2.0], [4.0], [6.0], [8.0]]
    assert pipeline.batches == [[1.0, 2.0], [3.0], [4.0]]


def test_a_batch_is_counted_in_rows_and_a_large_call_goes_alone() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        calls = [body("1"), body("2", "3"), body("4"), body("5", "6", "7", "8")]
        return await asyncio.gather(*(batcher.predict(call) for call in calls))

    assert answers(played(play, pipeline, rows=3))[3] == [10.0, 12.0, 14.0, 16.0]
    assert pipeline.batches == [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0, 7.0, 8.0]]


@pytest.mark.parametrize(("most", "batches"), [(2, [2, 2, 1]), (99, [3, 2]), (None, [3, 2])])
def test_a_batch_has_no_more_rows_than_the_model_takes_at_once(
    most: int | None, batches: list[int]
) -> None:
    pipeline = FakePipeline()
    pipeline.most = most

    async def play(batcher: Batcher) -> Any:
        return await asyncio.gather(*(batcher.predict(body(str(i))) for i in range(5)))

    assert answers(played(play, pipeline, rows=3)) == [[2.0 * i] for i in range(5)]
    assert [len(batch) for batch in pipeline.batches] == batches


@pytest.mark.parametrize("quick", [True, False])
def test_an_error_fails_its_own_call_alone(quick: bool) -> None:
    pipeline, stats = FakePipeline(quick=quick), Stats()

    async def play(batcher: Batcher) -> Any:
        calls = [body("1"), body("bad"), body("13"), b"{", body("4")]
        return await asyncio.gather(*(batcher.predict(call) for call in calls))

    rendered = played(play, pipeline, stats=stats)
    assert [each.code for each in rendered] == [200, 400, 500, 400, 200]
    assert answers([rendered[0], rendered[4]]) == [[2.0], [8.0]]
    assert (stats.predict_success, stats.predict_failure, stats.inference_count) == (2, 3, 2)


def test_a_client_that_left_leaves_the_batch() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        pipeline.go.clear()
        first = asyncio.create_task(batcher.predict(body("1")))
        await held(pipeline)
        leaving = asyncio.create_task(batcher.predict(body("2")))
        staying = asyncio.create_task(batcher.predict(body("3")))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        pipeline.go.set()
        rendered = await asyncio.gather(first, staying)
        assert batcher.waiting == 0
        return rendered

    assert answers(played(play, pipeline)) == [[2.0], [6.0]]
    assert pipeline.batches == [[1.0], [3.0]]


def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    pipeline, stats = FakePipeline(), Stats()

    async def play(batcher: Batcher) -> Any:
        pipeline.go.clear()
        taken = [asyncio.create_task(batcher.predict(body(str(i)))) for i in range(3)]
        await held(pipeline)
        refused = await batcher.predict(body("9"))
        assert (refused.code, json.loads(refused.content)["status"]["dd_code"]) == (503, 503)
        pipeline.go.set()
        await asyncio.gather(*taken)
        return await batcher.predict(body("9"))

    assert played(play, pipeline, stats=stats, waiting=3).code == 200
    assert stats.predict_failure == 0  # a refusal is counted nowhere, as in DeepDetect


def test_a_wait_gathers_calls_that_come_later() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        first = asyncio.create_task(batcher.predict(body("1")))
        await asyncio.sleep(0)
        second = asyncio.create_task(batcher.predict(body("2")))
        return await asyncio.gather(first, second)

    played(play, pipeline, wait_s=0.2)
    assert pipeline.batches == [[1.0, 2.0]]


def test_a_body_that_names_another_service_is_refused() -> None:
    """A router may read an odd body differently: it must not be answered by the wrong model."""

    async def play(batcher: Batcher) -> Any:
        other = b'{"service":"other","data":["1"]}'
        unnamed = b'{"data":["1"]}'
        return [
            (await batcher.predict(other)).code,
            (await batcher.predict(other, "s")).code,
            (await batcher.predict(unnamed)).code,
            (await batcher.predict(unnamed, "s")).code,
            (await batcher.predict(b'{"service":"S","data":["1"]}')).code,
        ]

    assert played(play, FakePipeline()) == [400, 400, 400, 200, 200]


def test_a_mistake_of_ours_is_an_answer_all_the_same() -> None:
    pipeline = FakePipeline()

    async def play(batcher: Batcher) -> Any:
        return [(await batcher.predict(body("x"))).code, (await batcher.predict(body("1"))).code]

    assert played(play, pipeline) == [500, 200]  # "x" is no number, which the fake does not expect


def test_a_call_past_its_time_is_answered_so_and_the_others_of_its_batch_are_answered() -> None:
    pipeline, stats = FakePipeline(), Stats()

    async def play(batcher: Batcher) -> Any:
        pipeline.go.clear()
        busy = asyncio.create_task(batcher.predict(body("1")))
        await held(pipeline)
        queued = asyncio.create_task(batcher.predict(body("2")))
        late = await asyncio.gather(busy, queued)
        pipeline.go.set()
        after = await batcher.predict(body("3"))
        return late, after, batcher.waiting

    late, after, waiting = played(play, pipeline, stats=stats, timeout_s=0.2)
    for each in late:
        status = json.loads(each.content)["status"]
        assert (each.code, status["dd_code"]) == (504, 504)
        assert "0.2 s" in status["dd_msg"]
    assert answers([after]) == [[6.0]]
    assert pipeline.batches == [[1.0], [3.0]]  # nobody waits for 2 any more
    assert (stats.predict_failure, stats.predict_success, waiting) == (2, 1, 0)


def test_a_call_in_time_leaves_no_clock_behind() -> None:
    async def play(batcher: Batcher) -> Any:
        tickets = []
        answer = asyncio.get_running_loop().create_future()
        tickets.append(batcher.submit(body("1"), answer.set_result))
        await answer
        tickets.append(batcher.submit(body("bad"), lambda rendered: None))
        return [ticket.timer.cancelled() for ticket in tickets if ticket.timer]

    assert played(play, FakePipeline(), timeout_s=60.0) == [True, True]


def test_data_that_takes_too_long_to_read_is_past_its_time_too() -> None:
    pipeline = FakePipeline(quick=False)
    reading = threading.Event()
    prepare = pipeline.prepare

    def slow(call: Any) -> Any:
        assert reading.wait(10)
        return prepare(call)

    pipeline.prepare = slow  # type: ignore[method-assign]

    async def play(batcher: Batcher) -> Any:
        rendered = await batcher.predict(body("1"))
        reading.set()
        after = await batcher.predict(body("2"))
        return rendered.code, after.code

    assert played(play, pipeline, timeout_s=1.0) == (504, 200)
    assert pipeline.batches == [[2.0]]
