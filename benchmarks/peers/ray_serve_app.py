"""Plain Ray Serve as its tutorials have it: `python ray_serve_app.py KIND MODEL PORT`."""

from __future__ import annotations

import signal
import sys
from typing import Any

import ray
from model import load
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
class Served:
    """One replica."""

    def __init__(self, kind: str, model: str) -> None:
        self.model = load(kind, model)

    async def __call__(self, request: Request) -> dict[str, Any]:
        call = await request.json()
        return {"predictions": self.model.predict(self.model.read(call["data"]))}


if __name__ == "__main__":
    kind, model, port = sys.argv[1:4]
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": here, "OMP_NUM_THREADS": "1"}},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(Served.bind(kind, model), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
