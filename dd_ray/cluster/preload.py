"""What idle workers import ahead, so that a service or a job starts without waiting for it."""

import contextlib

with contextlib.suppress(ImportError):  # an extra
    import ray.train.xgboost  # noqa: F401
