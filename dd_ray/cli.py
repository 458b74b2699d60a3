"""The command line: `dd-ray serve`."""

from __future__ import annotations

import logging
import os
from typing import Annotated

import typer

from dd_ray import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _common() -> None:
    """The DeepDetect REST API on a Ray cluster."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on")] = 8080,
    ray_address: Annotated[
        str,
        typer.Option(
            help="Ray to run on: its address, `local` for one of its own, or `auto` to join the"
            " one that `ray start` started on this machine and else start one"
        ),
    ] = "auto",
) -> None:
    """Run the server until Ctrl-C."""
    logging.basicConfig(level=os.environ.get("DD_RAY_LOG_LEVEL", "WARNING").upper())
    from dd_ray.cluster.flags import set_serve_flags

    set_serve_flags()  # before anything imports ray.serve, which reads them once
    from dd_ray.cluster.ray_start import StartError
    from dd_ray.cluster.serve import run

    try:
        run(host=host, port=port, ray_address=ray_address, say=typer.echo)
    except StartError as exc:
        typer.echo(f"dd-ray: {exc}", err=True)
        raise typer.Exit(1) from exc


def main() -> None:
    app()


if __name__ == "__main__":
    main()
