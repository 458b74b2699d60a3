"""`dd-ray edge`: the public port of a dd-ray that runs elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer


def edge(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on")] = 8080,
    ray_address: Annotated[
        str,
        typer.Option(help="Ray of the dd-ray: its address, or `auto` for the one on this machine"),
    ] = "auto",
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Listen where others reach it without a key, and for a Ray without a token",
        ),
    ] = False,
) -> None:
    """Run an edge alone, until Ctrl-C: on a machine that balances load, or beside a Ray's pods.

    The machine is a node of the Ray, or has one. DD_RAY_API_KEY is the key of the dd-ray.
    """
    from dd_ray.logs import set_up
    from dd_ray.settings import settings

    set_up(settings())
    from dd_ray.cluster.edge.haproxy import find_haproxy
    from dd_ray.cluster.flags import set_serve_flags

    haproxy = find_haproxy()
    if haproxy is None:
        typer.echo("dd-ray: no HAProxy for this system", err=True)
        raise typer.Exit(1)
    set_serve_flags()  # before anything imports ray.serve, which reads them once
    from dd_ray.cluster.edge.command import run
    from dd_ray.cluster.start_error import StartError

    try:
        run(
            haproxy=haproxy,
            host=host,
            port=port,
            ray_address=ray_address,
            say=typer.echo,
            insecure=insecure,
        )
    except StartError as exc:
        typer.echo(f"dd-ray: {exc}", err=True)
        raise typer.Exit(1) from exc
