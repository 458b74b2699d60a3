"""What a worker imports before it has anything to do; see `warm`."""

import contextlib
import importlib
import os
import threading

from dd_ray.cluster.flags import AHEAD

_LOWEST = 19


def _import_ahead(modules: list[str]) -> None:
    """Behind whatever else the machine does: a priority is its thread's alone, which ends here."""
    with contextlib.suppress(OSError, AttributeError):  # not everywhere
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
    for module in modules:
        with contextlib.suppress(ImportError):  # of an extra
            importlib.import_module(module)


_modules = os.environ.get(AHEAD, "").split()
if _modules:
    _thread = threading.Thread(target=_import_ahead, args=(_modules,))
    _thread.start()
    _thread.join()
