"""How commands end: their exit codes, and one line for what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from enum import IntEnum
from typing import Any, NoReturn

import typer

from dd_ray.cli.call_file import BadCallFile
from dd_ray.cli.client import Refused, Unreachable
from dd_ray.cli.show import plain


class Exit(IntEnum):
    """Exit codes. A command that a signal ended exits with 128 and its number, as in a shell."""

    DONE = 0
    REFUSED = 1
    """The API answered with an error, or the training failed."""
    WRONG_CALL = 2
    """The command line or the call file is wrong."""
    UNREACHABLE = 3
    """No server, or no Ray, at that address."""


def run(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Runs a command to its end and exits; what it returns, when not None, is the exit code."""
    try:
        code = asyncio.run(work)
    except Refused as exc:
        fail(Exit.REFUSED, exc)
    except BadCallFile as exc:
        fail(Exit.WRONG_CALL, exc)
    except Unreachable as exc:
        fail(Exit.UNREACHABLE, exc)
    raise typer.Exit(code or Exit.DONE)


def fail(code: Exit, reason: object) -> NoReturn:
    """Says why on the standard error and exits."""
    typer.echo(f"dd-ray: {plain(str(reason))}", err=True)
    raise typer.Exit(code)
