"""`dd-ray settings`: what can be set, as a Markdown table."""

from __future__ import annotations

from pathlib import Path

import typer

from dd_ray.settings import Settings


def settings() -> None:
    """Print every setting with its default."""
    typer.echo(table())


def table() -> str:
    """The settings of the server, which are environment variables, as a Markdown table."""
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in ("", (), None) else str(default).replace(str(Path.home()), "~")
        lines.append(f"| `DD_RAY_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)
