"""`dd-ray train`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer

from dd_ray.cli.call_file import BadCallFile, Calls, read_calls
from dd_ray.cli.client import Api, Refused, over_http
from dd_ray.cli.exits import Exit, fail, run
from dd_ray.cli.follow import Stop, final_report, follow, jobs_of
from dd_ray.cli.options import AsJson, CallFile, RepositoryPath, ServiceName
from dd_ray.cli.paths import absolute
from dd_ray.cli.progress import progress
from dd_ray.cli.report import print_report

_SERVICE_EXISTS = 1014


def train(
    call_file: CallFile,
    service_name: ServiceName = "",
    repository: RepositoryPath = "",
    address: Annotated[
        str,
        typer.Option(
            envvar="DD_RAY_ADDRESS",
            help="Server that trains, as http://HOST:PORT; by default this command itself does",
        ),
    ] = "",
    ray_address: Annotated[
        str,
        typer.Option(
            help="Without a server, the Ray to train on: its address, `local` for one of its own,"
            " or `auto` for that of RAY_ADDRESS or of this machine, and else one of its own"
        ),
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a service: create it if it is not there, train it, show how it goes.

    Ctrl-C and SIGTERM save what was learned and end the training.
    """
    try:
        calls = read_calls(call_file, service=service_name, repository=repository)
        if address:
            run(_train_there(address, calls.at(Path.cwd()), as_json))
        _train_here(ray_address, calls, as_json)
    except BadCallFile as exc:
        fail(Exit.WRONG_CALL, exc)


async def _train_there(address: str, calls: Calls, as_json: bool) -> int:
    async with over_http(address) as http:
        return await _train(Api(http), calls, as_json)


def _train_here(ray_address: str, calls: Calls, as_json: bool) -> NoReturn:
    if calls.creation is None:
        raise BadCallFile("no definition of a service, expected mllib, parameters and model")
    from dd_ray.cluster.standalone import has_working_folder, training_api
    from dd_ray.cluster.start_error import StartError

    try:
        with training_api(ray_address) as app:
            calls = _of_this_job(calls) if has_working_folder() else calls.at(Path.cwd())
            run(_train_in_process(app, calls, as_json))
    except StartError as exc:
        fail(Exit.UNREACHABLE, exc)


def _of_this_job(calls: Calls) -> Calls:
    """Calls whose data lies in a Ray job's working folder, of which each node has its own copy."""
    if calls.repository and absolute(Path("/"), calls.repository) != calls.repository:
        raise BadCallFile(
            f"model.repository: {calls.repository!r} lies in the job's working folder, which Ray"
            " removes; expected an absolute path or a URL"
        )
    return calls


async def _train_in_process(app: Any, calls: Calls, as_json: bool) -> int:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dd-ray") as http:
        return await _train(Api(http), calls, as_json)


async def _train(api: Api, calls: Calls, as_json: bool) -> int:
    """Trains and returns the exit code; raises Refused when the training fails."""
    if calls.training is None:
        raise BadCallFile("no call that trains, expected data")
    with Stop().listening() as stop:
        if calls.creation is not None:
            await _create_if_missing(api, calls.service, calls.creation)
        started = await api.train(calls.training)
        job = started["head"]["job"]
        with progress(as_json=as_json) as shown:
            found = partial(jobs_of, api, calls.service, job)
            ended = await follow(found, progress=shown, stop=stop)
        report = await final_report(api, calls.service, job, ended=ended)
    print_report(calls.service, report, as_json=as_json)
    if report["head"].get("status") == "finished":
        return Exit.DONE
    return stop.exit_code if stop.number else Exit.REFUSED


async def _create_if_missing(api: Api, service: str, creation: Mapping[str, Any]) -> None:
    try:
        await api.create(service, creation)
    except Refused as exc:
        if exc.code != _SERVICE_EXISTS:
            raise
