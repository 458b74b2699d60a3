"""The table of commands."""

from __future__ import annotations

from collections.abc import Callable

import typer

from dd_ray import __version__
from dd_ray.cli import edge, jobs, predict, serve, services, settings, train


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


_COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve.serve,
    "edge": edge.edge,
    "train": train.train,
    "predict": predict.predict,
    "info": services.info,
    "services": services.services,
    "create": services.create,
    "delete": services.delete,
    "jobs": jobs.jobs,
    "stop-job": jobs.stop_job,
    "settings": settings.settings,
    "version": version,
}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


@app.callback()
def _common() -> None:
    """The DeepDetect REST API on a Ray cluster."""


def main() -> None:
    """Runs the command of this process's arguments."""
    app()
