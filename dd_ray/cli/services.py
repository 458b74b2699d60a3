"""`dd-ray info`, `dd-ray services`, `dd-ray create` and `dd-ray delete`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dd_ray.cli.call_file import BadCallFile, Calls, read_calls
from dd_ray.cli.client import Answer, Api, over_http
from dd_ray.cli.exits import Exit, fail, run
from dd_ray.cli.options import (
    DEFAULT_ADDRESS,
    Address,
    AsJson,
    CallFile,
    RepositoryPath,
    ServiceName,
)
from dd_ray.cli.show import print_json, print_table, say

_COLUMNS = ("service", "mllib", "type", "training", "predictions", "failed", "repository")


class Clear(StrEnum):
    """What goes with a deleted service."""

    MEM = "mem"
    LIB = "lib"
    FULL = "full"
    DIR = "dir"


def info(address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Show the server and its services."""
    run(_info(address, as_json))


async def _info(address: str, as_json: bool) -> None:
    async with over_http(address) as http:
        answer = await Api(http).info()
    if as_json:
        print_json(answer)
        return
    head = answer["head"]
    say(f"{head['commit']}, API {head['version']}, {head.get('deps_version', '')}")
    print_table(_COLUMNS, map(_row, head["services"]), none="no services")


def services(
    name: Annotated[str, typer.Argument(help="Name of a service; all by default")] = "",
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List the services, or show all about one."""
    run(_service(address, name, as_json) if name else _services(address, as_json))


async def _services(address: str, as_json: bool) -> None:
    async with over_http(address) as http:
        found = (await Api(http).info())["head"]["services"]
    if as_json:
        print_json(found)
    else:
        print_table(_COLUMNS, map(_row, found), none="no services")


async def _service(address: str, name: str, as_json: bool) -> None:
    async with over_http(address) as http:
        answer = await Api(http).service(name)
    if as_json:
        print_json(answer)
    else:
        print_table(("", name), _flat(answer["body"]), none="")


def create(
    call_file: CallFile,
    service_name: ServiceName = "",
    repository: RepositoryPath = "",
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Create the service of a call file, trained or not."""
    try:
        calls = read_calls(call_file, service=service_name, repository=repository).at(Path.cwd())
    except BadCallFile as exc:
        fail(Exit.WRONG_CALL, exc)
    run(_create(address, calls, as_json))


async def _create(address: str, calls: Calls, as_json: bool) -> None:
    if calls.creation is None:
        raise BadCallFile("no definition of a service, expected mllib, parameters and model")
    async with over_http(address) as http:
        answer = await Api(http).create(calls.service, calls.creation)
    _done(answer, f"{calls.service}: created", as_json)


def delete(
    name: Annotated[str, typer.Argument(help="Name of the service")],
    clear: Annotated[
        Clear,
        typer.Option(
            help="What to delete of its repository: `mem` nothing, `lib` the model files, `full`"
            " all files, `dir` the folder too"
        ),
    ] = Clear.MEM,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Delete a service, after stopping its jobs."""
    run(_delete(address, name, clear, as_json))


async def _delete(address: str, name: str, clear: Clear, as_json: bool) -> None:
    async with over_http(address) as http:
        answer = await Api(http).delete(name, clear=clear.value)
    _done(answer, f"{name}: deleted", as_json)


def _done(answer: Answer, line: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        say(line)


def _row(service: Mapping[str, Any]) -> tuple[Any, ...]:
    stats = service["service_stats"]
    return (
        service["name"],
        service["mllib"],
        service["mltype"],
        service["training"],
        stats["predict_success"],
        stats["predict_failure"],
        service.get("repository"),
    )


def _flat(body: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A row a value; objects become dotted names.

    >>> _flat({"name": "wine", "parameters": {"mllib": {"nclasses": 3}}, "jobs": []})
    [('name', 'wine'), ('parameters.mllib.nclasses', 3), ('jobs', [])]
    """
    rows: list[tuple[str, Any]] = []
    for key, value in body.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows
