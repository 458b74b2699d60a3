"""How many replicas a service has: what Serve is told, and how it follows the load."""

from __future__ import annotations

import math
from typing import Any

from ray.serve.config import AutoscalingContext

from dd_ray.mllibs.spec import MLLibParams
from dd_ray.services.needs import replica_bounds
from dd_ray.settings import Settings

WAITING = "waiting"
"""The measure that replicas give: calls taken and not answered."""


def replica_options(mllib: MLLibParams, settings: Settings) -> dict[str, Any]:
    """The options of a deployment for so many replicas, or for a number between bounds."""
    fewest, most = replica_bounds(mllib)
    if fewest == most:
        return {"num_replicas": fewest}
    return {
        "autoscaling_config": {
            "min_replicas": fewest,
            "max_replicas": most,
            "target_ongoing_requests": settings.replica_calls,
            "upscale_delay_s": settings.replica_add_s,
            "downscale_delay_s": settings.replica_drop_s,
            "policy": {"policy_function": f"{__name__}:by_waiting"},
        }
    }


def by_waiting(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """So many replicas that each has target_ongoing_requests calls: a policy of Serve.

    Serve's own counts the calls that it has passed on itself, and the edges pass by it.
    """
    waiting = sum((context.aggregated_metrics or {}).get(WAITING, {}).values())
    wanted = math.ceil(waiting / context.config.target_ongoing_requests)
    fewest, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, fewest), most), {}
