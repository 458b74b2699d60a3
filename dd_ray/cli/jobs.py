"""`dd-ray jobs` and `dd-ray stop-job`."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any

import typer

from dd_ray.cli.client import Api, over_http
from dd_ray.cli.exits import Exit, run
from dd_ray.cli.follow import Jobs, Stop, follow, jobs_of
from dd_ray.cli.options import DEFAULT_ADDRESS, Address, AsJson
from dd_ray.cli.progress import Item, json_line, progress, status_of, step_of
from dd_ray.cli.report import print_report
from dd_ray.cli.show import print_json, print_table, say

_COLUMNS = ("service", "job", "status", "iteration", "of", "left", "seconds", "ended", "error")


def jobs(
    service: Annotated[str, typer.Argument(help="Jobs of this service; of all by default")] = "",
    job: Annotated[
        int | None,
        typer.Argument(help="Report of this job; that of an ended job is given once"),
    ] = None,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Show how they go until they have ended")
    ] = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List the jobs and those of the past, show the report of one, or follow those that run.

    Ctrl-C leaves them running.
    """
    if job is not None:
        run(_report(address, service, job, following, as_json))
    run((_follow if following else _list)(address, service, as_json))


def stop_job(
    service: Annotated[str, typer.Argument(help="Name of the service")],
    job: Annotated[int, typer.Argument(help="Number of the job")],
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Stop a job; what it has learned is saved and served."""
    run(_stop(address, service, job, as_json))


async def _list(address: str, service: str, as_json: bool) -> None:
    async with over_http(address) as http:
        answer = await Api(http).jobs(service)
    _print([(item["service"], item) for item in answer["body"]["jobs"]], as_json)


async def _follow(address: str, service: str, as_json: bool) -> int:
    """Follows all, then lists what has ended and was not asked for yet."""
    async with over_http(address) as http:
        found = partial(jobs_of, Api(http), service)
        with Stop().listening() as stop, progress(as_json=as_json) as shown:
            if not await follow(found, progress=shown, stop=stop):
                return stop.exit_code
        _print(await found(), as_json)
    return Exit.DONE


async def _report(address: str, service: str, job: int, following: bool, as_json: bool) -> int:
    async with over_http(address) as http:
        api = Api(http)
        if following:
            found = partial(jobs_of, api, service, job)
            with Stop().listening() as stop, progress(as_json=as_json) as shown:
                if not await follow(found, progress=shown, stop=stop):
                    return stop.exit_code
        report = await api.job(service, job)
    print_report(service, report, as_json=as_json)
    return Exit.DONE


def _print(found: Jobs, as_json: bool) -> None:
    if as_json:
        for service, item in found:
            say(json_line(service, item))
    else:
        print_table(_COLUMNS, (_row(service, item) for service, item in found), none="no jobs")


def _row(service: str, item: Item) -> tuple[Any, ...]:
    step = step_of(item.get("measure", {}))
    of = step and (step.iteration, step.total, step.left)
    ended = item.get("ended")
    at = "" if ended is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(ended))
    why = item.get("Error", {}).get("dd_msg", "")
    steps = of or ("", "", "")
    return (service, item["job"], status_of(item), *steps, item.get("time"), at, why)


async def _stop(address: str, service: str, job: int, as_json: bool) -> None:
    async with over_http(address) as http:
        answer = await Api(http).stop_job(service, job)
    if as_json:
        print_json(answer)
    else:
        say(f"{service} job {job}: {answer['head'].get('status', 'had ended before')}")
