"""Serve without pandas, which it imports for answers that are data frames; ours are not.

That is 70 MB and half a second of each process that has something to do with Serve. Serve does
without where pandas is not installed; so it is told that it is not.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import ClassVar

_IMPORTER = "ray.serve._private.utils"
_HIDDEN = "pandas"


def hide_pandas() -> None:
    """From here on, Serve's module does not find pandas; all others do."""
    sys.meta_path.insert(0, _Hiding())


class _Hiding(MetaPathFinder):
    """Has the module that must not find another carried out by `_Loader`; finds nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _HIDDEN and threading.get_ident() in _Loader.threads:
            raise ModuleNotFoundError(f"{_HIDDEN} is not for {_IMPORTER}", name=fullname)
        if fullname != _IMPORTER:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or not isinstance(found.loader, SourceFileLoader) or not found.origin:
            return found
        return spec_from_file_location(fullname, loader=_Loader(fullname, found.origin))


class _Loader(SourceFileLoader):
    threads: ClassVar[set[int]] = set()
    """Those that carry the module out at this moment."""

    def exec_module(self, module: ModuleType) -> None:
        self.threads.add(threading.get_ident())
        try:
            super().exec_module(module)
        finally:
            self.threads.discard(threading.get_ident())
