"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_ADDRESS = "http://127.0.0.1:8080"

_WHERE = "Server to call, as http://HOST:PORT. DD_RAY_API_KEY holds its key, if it wants one"

Address = Annotated[str, typer.Option(envvar="DD_RAY_ADDRESS", help=_WHERE)]

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answers instead of tables")]

CallFile = Annotated[
    str, typer.Argument(help="JSON file of the calls that create and train a service")
]

ServiceName = Annotated[
    str, typer.Option(help="Name of the service, instead of the one in the file")
]

RepositoryPath = Annotated[
    str, typer.Option(help="Model repository, instead of the one in the file; made when missing")
]
