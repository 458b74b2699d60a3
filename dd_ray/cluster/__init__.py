"""Everything that touches Ray."""

from dd_ray.cluster.lean_serve import hide_pandas

hide_pandas()  # before anything imports ray.serve
