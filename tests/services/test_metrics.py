"""What a server measures of itself."""

from __future__ import annotations

from pathlib import Path

from dd_ray.services.metrics import OTHERS, samples, text
from dd_ray.services.request_counts import RequestCounts
from dd_ray.services.stats import BOUNDS_MS, Stats
from tests.services.fake_cluster import Cluster, in_loop


def counted(**given: float) -> Stats:
    stats = Stats()
    stats.succeeded(2, given.get("ms", 3.0), 1.0)
    stats.failed(700.0, 1005)
    stats.refused(503)
    stats.ran(2, 2.0, 0.5)
    return stats


def test_counts_travel_and_add_up() -> None:
    stats, whole = counted(), Stats()
    whole.add(stats.take())
    assert stats == Stats()
    stats.succeeded(1, 1.0, 0.0)
    whole.add(stats.take())
    assert (whole.predict_success, whole.predict_failure, whole.predict_count) == (2, 1, 3)
    assert whole.errors == {1005: 1, 503: 1}
    assert sum(whole.durations) == 3
    assert (whole.batch_count, whole.batch_rows) == (1, 2)
    assert stats.errors is not whole.errors


def test_a_refusal_alone_is_told() -> None:
    stats = Stats()
    assert not stats.counted
    stats.refused(503)
    assert stats.counted
    assert stats.predict_count == 0


@in_loop
async def test_samples_of_a_server(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, metrics_services=2)
    state = await cluster.start()
    for name in ("a", "b", "c", "d"):
        await state.create(cluster.definition(name))
        await state.count(name, counted())
    cluster.without_model["d"] = "no model"
    requests = RequestCounts()
    requests.count("GET", "/info", 200, 0.5)
    await state.count_requests(requests.take())
    await state.submit("b", {"service": "b", "data": ["x"], "parameters": {}})
    process = await cluster.process(1)
    point = {"iteration": 4, "last": {"iteration": 4.0, "iter_time": 50.0}, "history": {}}
    work = process.work
    assert await state.report("b", work.job, work.key, work.attempt, 0, [point])
    shown = text(await state.samples()).splitlines()
    for line in [
        'dd_ray_services{ready="yes"} 3',
        'dd_ray_services{ready="no"} 1',
        'dd_ray_requests_total{method="GET",route="/info",code="200"} 1',
        'dd_ray_requests_seconds_total{method="GET",route="/info",code="200"} 0.5',
        'dd_ray_jobs{status="running"} 1',
        'dd_ray_jobs{status="error"} 0',
        'dd_ray_training_iteration{service="b"} 4',
        'dd_ray_training_iterations_per_second{service="b"} 20',
        'dd_ray_predict_total{service="a"} 2',
        f'dd_ray_predict_total{{service="{OTHERS}"}} 4',
        'dd_ray_predict_errors_total{service="a",code="1005"} 1',
        'dd_ray_predict_queue_seconds_total{service="a"} 0.0005',
        'dd_ray_predict_model_seconds_total{service="a"} 0.002',
        'dd_ray_predict_batch_rows_total{service="a"} 2',
        'dd_ray_predict_duration_seconds_bucket{service="a",le="0.0025"} 0',
        'dd_ray_predict_duration_seconds_bucket{service="a",le="0.005"} 1',
        'dd_ray_predict_duration_seconds_bucket{service="a",le="+Inf"} 2',
        'dd_ray_predict_duration_seconds_count{service="a"} 2',
        'dd_ray_predict_duration_seconds_sum{service="a"} 0.703',
    ]:
        assert line in shown, line
    assert not any('service="c"' in line for line in shown)
    kinds = [line for line in shown if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
    process.finish()


def test_each_duration_has_its_range() -> None:
    stats = Stats()
    for bound in BOUNDS_MS:
        stats.succeeded(1, float(bound), 0.0)
    stats.succeeded(1, BOUNDS_MS[-1] + 1.0, 0.0)
    assert stats.durations == [1] * (len(BOUNDS_MS) + 1)


def test_nothing_is_a_text_too() -> None:
    shown = text(samples([], ready=0, jobs={}, requests=[], most=10))
    assert 'dd_ray_services{ready="yes"} 0\n' in shown
