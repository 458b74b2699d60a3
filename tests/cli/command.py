"""`dd-ray` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

END_S = 120.0


class Command:
    """A command that runs, and what it has printed so far."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("DD_RAY_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dd_ray.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=env,
        )
        self.output = ""

    def wait_for(self, text: str) -> None:
        """Reads lines until one holds the text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}: {self.output}")

    def end(self) -> int:
        """The exit code, once it has ended; a command that does not end is killed."""
        try:
            rest, _ = self.process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.output += rest
        return self.process.returncode
