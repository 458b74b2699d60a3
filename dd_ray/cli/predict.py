"""`dd-ray predict`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dd_ray.cli.client import Api, over_http
from dd_ray.cli.exits import run
from dd_ray.cli.options import DEFAULT_ADDRESS, Address, AsJson
from dd_ray.cli.paths import found_in
from dd_ray.cli.predictions import COLUMNS, rows_of
from dd_ray.cli.show import cell, print_table


def predict(
    service: Annotated[str, typer.Argument(help="Name of the service")],
    data: Annotated[
        list[str],
        typer.Argument(help="What to predict: paths on the server, URLs, or the data itself"),
    ],
    best: Annotated[
        int | None, typer.Option(help="How many classes to show of each; -1 for all")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="A parameter of the call as PART.NAME=VALUE, such as input.separator=; or"
            " output.measure='[\"f1\"]'. Values are JSON, or else text. May be given again"
        ),
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Predict with a service."""
    parameters = parameters_of(param or [])
    if best is not None:
        parameters.setdefault("output", {})["best"] = best
    call = {
        "service": service,
        "parameters": parameters,
        "data": [found_in(Path.cwd(), item) for item in data],
    }
    run(_predict(address, call, as_json))


def parameters_of(given: Sequence[str]) -> dict[str, Any]:
    """`parameters` of a call out of PART.NAME=VALUE; raises typer.BadParameter.

    >>> parameters_of(["input.id=wine", "mllib.gpu=true", "parameters.output.best=3"])
    {'input': {'id': 'wine'}, 'mllib': {'gpu': True}, 'output': {'best': 3}}
    """
    parameters: dict[str, Any] = {}
    for item in given:
        path, equals, value = item.partition("=")
        *parts, name = path.removeprefix("parameters.").split(".")
        if not equals or not parts or not all([*parts, name]):
            raise typer.BadParameter(f"{item!r}, expected PART.NAME=VALUE", param_hint="--param")
        inside = parameters
        for part in parts:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise typer.BadParameter(f"{item!r}: {part} is a value", param_hint="--param")
        inside[name] = _value(value)
    return parameters


async def _predict(address: str, call: dict[str, Any], as_json: bool) -> None:
    async with over_http(address) as http:
        text = await Api(http).predict(call)
    body = None if as_json else _body(text)
    if body is None:  # also what a template made
        typer.echo(text)
    elif "measure" in body:
        rows = [(name, cell(value)) for name, value in body["measure"].items()]
        print_table(("measure", "value"), rows, none="no measure")
    else:
        rows = [row for item in body["predictions"] for row in rows_of(item)]
        print_table(COLUMNS, rows, none="no prediction")


def _body(text: str) -> dict[str, Any] | None:
    """The body of an answer of the API, None for what is no such answer."""
    try:
        body = json.loads(text)["body"]
    except (ValueError, KeyError, TypeError):
        return None
    known = isinstance(body, dict) and ("predictions" in body or "measure" in body)
    return body if known else None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
