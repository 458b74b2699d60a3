"""Imported by Ray in each worker that starts."""

from dd_ray.cluster.idle_imports import import_ahead

import_ahead()
