"""The final report of a job."""

from __future__ import annotations

from dd_ray.cli.client import Answer, Refused
from dd_ray.cli.show import cell, plain, print_json, print_table, say


def print_report(service: str, report: Answer, *, as_json: bool) -> None:
    """Shows an answer of `GET /train`, without its history; raises Refused with a failed job's
    error.
    """
    head, body = report["head"], dict(report.get("body", {}))
    body.pop("measure_hist", None)
    if as_json:
        print_json(report | {"body": body} if body else report)
    if "Error" in body:
        raise Refused(body["Error"])
    if as_json:
        return
    time_s = f", {cell(head['time'])} s" if "time" in head else ""
    say(f"{plain(service)} job {head['job']}: {head['status']}{time_s}")
    if body.get("measure"):
        print_table(("measure", "value"), body["measure"].items(), none="")
    if "model" in body:
        say(f"model: {plain(body['model']['repository'])}")
