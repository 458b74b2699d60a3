"""What idle workers import ahead, so that a service or a job starts without waiting for it."""

import dd_ray.cluster.jobs
import dd_ray.cluster.service_app  # noqa: F401
