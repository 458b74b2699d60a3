"""Talking to a running HAProxy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT_S = 10.0
_PROMPT = "\n> "


class Admin:
    """The admin socket of a HAProxy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, *commands: str) -> list[str]:
        """The answers to commands, empty where there is nothing to say; raises OSError."""
        if not commands:
            return []
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(self._path)
            try:
                said, _ = await asyncio.gather(reader.read(), _say(writer, commands))
            finally:
                writer.close()
        answers = said.decode().split(_PROMPT)[1:-1]
        if len(answers) != len(commands):
            raise OSError(f"HAProxy answered {len(answers)} of {len(commands)} commands")
        return [answer.strip() for answer in answers]


async def _say(writer: asyncio.StreamWriter, commands: Sequence[str]) -> None:
    writer.write("\n".join(["prompt", *commands, "quit", ""]).encode())
    await writer.drain()
