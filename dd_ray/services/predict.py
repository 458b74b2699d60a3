"""The bytes around a predict call: the same on every path that a request can take."""

from __future__ import annotations

from typing import Any

from dd_ray.errors import ApiError, BadRequest
from dd_ray.outputs.network import push
from dd_ray.outputs.template import render as render_template
from dd_ray.services.answer import Answer, Rendered, render, render_error
from dd_ray.services.call import parse_call
from dd_ray.services.names import service_name
from dd_ray.services.pipeline import Prediction


def parse(raw: bytes, path_name: str, own_name: str) -> dict[str, Any]:
    """The call in a body that has come to the service `own_name`; raises BadRequest.

    Where the path names the service, as `path_name`, the body need not. A body that names another
    service is refused: it was routed by somebody who read it differently.
    """
    call, _ = parse_call(raw)
    named = call.get("service", path_name or None)
    if named != own_name and (not isinstance(named, str) or service_name(named) != own_name):
        raise BadRequest(f"service: {named!r:.100}, but the call has come to {own_name!r}")
    return call


def shaped(prediction: Prediction, name: str, took_ms: float) -> Rendered:
    """JSON, or what `output.template` makes of it; raises BadParameter for the template."""
    answer = Answer(
        head={"method": "/predict", "service": name, "time": took_ms}, body=prediction.body
    )
    output = prediction.params.output
    if output.template and not output.measure:
        return Rendered(
            code=answer.code, content=render_template(output.template, answer.envelope()).encode()
        )
    return render(answer)


async def pushed(prediction: Prediction, rendered: Rendered) -> Rendered:
    """What the server of `output.network` answers; measures are not sent there."""
    network = prediction.params.output.network
    if network is None or prediction.params.output.measure:
        return rendered
    try:
        code, content = await push(network, rendered.content)
    except ApiError as exc:
        return render_error(exc)
    return Rendered(code=code, content=content)
