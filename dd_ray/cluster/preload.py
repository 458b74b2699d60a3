"""What a worker imports before it has anything to do; see `warm`."""

import contextlib
import gc
import importlib
import os

from dd_ray.cluster.flags import AHEAD

gc.disable()  # nothing of what is imported goes away: looking for it takes a tenth of the time
for _module in os.environ.get(AHEAD, "").split():
    with contextlib.suppress(ImportError):  # of an extra
        importlib.import_module(_module)
gc.freeze()  # nor will it later
gc.enable()
