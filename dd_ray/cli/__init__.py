"""The command line: `dd-ray COMMAND`, one file a family of commands."""

from dd_ray.cli.app import main

__all__ = ["main"]
