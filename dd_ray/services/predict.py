"""Answering one predict call as bytes: the same on every path that a request can take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from dd_ray.errors import ApiError, BadRequest
from dd_ray.outputs.network import push
from dd_ray.outputs.template import render as render_template
from dd_ray.services.answer import Answer, Rendered, render, render_error
from dd_ray.services.pipeline import Pipeline, Prediction
from dd_ray.services.stats import Stats


async def answer_predict(
    pipeline: Pipeline,
    raw: bytes,
    stats: Stats,
    *,
    run: Callable[[Callable[[], Prediction]], Any],
) -> Rendered:
    """The answer to the body of a predict call; never raises ApiError.

    `run` awaits the prediction where it may block: a thread, or at once when it is quick.
    """
    began = time.perf_counter()
    try:
        call = parse(raw)
        prediction: Prediction = await run(lambda: pipeline.predict(call))
        duration_ms = (time.perf_counter() - began) * 1000
        stats.succeeded(prediction.rows, duration_ms, prediction.transform_ms)
        answer = Answer(
            head={"method": "/predict", "service": pipeline.definition.name, "time": duration_ms},
            body=prediction.body,
        )
        return await _shaped(answer, prediction)
    except ApiError as exc:
        stats.failed((time.perf_counter() - began) * 1000)
        return render_error(exc)


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body; raises BadRequest."""
    try:
        call = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON: {exc}") from exc
    if not isinstance(call, dict):
        raise BadRequest(f"the body is not an object but {type(call).__name__}")
    return call


async def _shaped(answer: Answer, prediction: Prediction) -> Rendered:
    """JSON, or what `output.template` and `output.network` make of it."""
    output = prediction.params.output
    if output.measure or not (output.template or output.network):
        return render(answer)
    rendered = render(answer)
    if output.template:
        text = render_template(output.template, answer.envelope())
        rendered = Rendered(code=answer.code, content=text.encode())
    if output.network:
        code, content = await push(output.network, rendered.content)
        rendered = Rendered(code=code, content=content)
    return rendered
