"""What a worker imports before it has anything to do; see `warm`."""

import contextlib
import importlib
import os

from dd_ray.cluster.flags import AHEAD

for _module in os.environ.get(AHEAD, "").split():
    with contextlib.suppress(ImportError):  # of an extra
        importlib.import_module(_module)
