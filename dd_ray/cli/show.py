"""Answers on the standard output: tables for people, JSON for programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 200
_SHOWN_ITEMS = 20
"""Of a long list: the values of a segmented image are one for each of its pixels."""


def say(line: str) -> None:
    """A line of text."""
    typer.echo(line)


def print_json(answer: Any) -> None:
    """One line of JSON."""
    say(json.dumps(answer, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, none: str) -> None:
    """A table, or the line `none` when it would be empty. No text is cut off."""
    rows = list(rows)
    if not rows:
        say(none)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    console().print(table)


def console() -> Console:
    """The standard output. A pipe has no width, so its lines are long ones."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def cell(value: Any) -> str:
    """A value as people read it.

    >>> [cell(value) for value in (0.123456789, 3.0, None, True, [1.0, 2.5], {"a": 1})]
    ['0.1235', '3', '', 'yes', '1 2.5', '{"a": 1}']
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
        case list():
            more = f"... ({len(value)})" if len(value) > _SHOWN_ITEMS else ""
            return " ".join([*map(cell, value[:_SHOWN_ITEMS]), more]).rstrip()
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return plain(str(value))


def plain(text: str) -> str:
    r"""Text without control characters, which could make a terminal do things.

    >>> plain("wine\x1b[2J\n")
    'wine [2J '
    """
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
