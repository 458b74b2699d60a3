"""What a worker imports before it has anything to do, and while it has not; see `warm`."""

import contextlib
import gc
import importlib
import os
import threading
from collections.abc import Iterator

from dd_ray.cluster.flags import AHEAD, LATER

_IDLE_S = 2.0
"""A worker that was started for something that waits for it has it sooner than that."""

_taken = threading.Event()
_importing = threading.Lock()


def import_ahead() -> None:
    """In a worker that starts."""
    _import(os.environ.get(AHEAD, ""))
    if LATER in os.environ:
        later = os.environ[LATER]
        threading.Thread(target=_import_when_idle, args=(later,), daemon=True).start()


def take() -> None:
    """This worker has something to do: from here on it imports only what that needs.

    Returns when nothing is being imported, so that two threads do not import what imports each
    other.
    """
    _taken.set()
    with _importing:
        pass


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For imports: nothing of it goes away, and looking for what does takes a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor will it later
        gc.enable()


def _import(modules: str) -> None:
    with uncollected():
        for module in modules.split():
            with contextlib.suppress(ImportError):  # of an extra
                importlib.import_module(module)


def _import_when_idle(modules: str) -> None:
    if not _taken.wait(_IDLE_S):
        with _importing:
            if not _taken.is_set():
                _import(modules)
