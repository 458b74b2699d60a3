"""`dd-ray serve`: the server."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer


class Proxy(StrEnum):
    """What listens on the public port."""

    EDGE = "edge"
    RAY = "ray"


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
    allow_origin: Annotated[
        str, typer.Option(help="Origin of web pages that may call, as https://ui.example")
    ] = "",
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Serve where others reach it without a key, and on a Ray without a token",
        ),
    ] = False,
    proxy: Annotated[
        Proxy,
        typer.Option(
            help="What listens: `edge`, an HAProxy that knows where each service is, or `ray`,"
            " Ray Serve's own proxy, which is slower and needs no HAProxy"
        ),
    ] = Proxy.EDGE,
) -> None:
    """Run the server until Ctrl-C. DD_RAY_API_KEY is the key that calls must have."""
    if allow_origin:
        os.environ["DD_RAY_ALLOW_ORIGIN"] = allow_origin
    from dd_ray.logs import set_up
    from dd_ray.settings import settings

    set_up(settings())
    from dd_ray.cluster.edge.haproxy import find_haproxy
    from dd_ray.cluster.flags import set_serve_flags

    haproxy = find_haproxy() if proxy is Proxy.EDGE else None
    if haproxy is None and proxy is Proxy.EDGE:
        typer.echo("dd-ray: no HAProxy for this system, Ray Serve's own proxy is used", err=True)
    # before anything imports ray.serve, which reads them once
    set_serve_flags(haproxy=haproxy is not None)
    from dd_ray.cluster.idle_imports import uncollected

    with uncollected():
        from dd_ray.cluster.serve import run
        from dd_ray.cluster.start_error import StartError

    try:
        run(
            host=host,
            port=port,
            ray_address=ray_address,
            say=typer.echo,
            insecure=insecure,
            haproxy=haproxy,
        )
    except StartError as exc:
        typer.echo(f"dd-ray: {exc}", err=True)
        raise typer.Exit(1) from exc
