"""A service as a Serve application: one deployment that holds the loaded pipeline."""

from __future__ import annotations

from typing import Any

import ray
from ray import serve

from dd_ray.cluster.idle_imports import take
from dd_ray.cluster.log_flags import serve_logging
from dd_ray.cluster.names import app_name
from dd_ray.cluster.remote_state import RemoteState, find_state
from dd_ray.cluster.resources import actor_options, needs_of_service
from dd_ray.cluster.scaling import WAITING, replica_options
from dd_ray.cluster.served import Served
from dd_ray.cluster.warm import warm_options
from dd_ray.logs import set_up
from dd_ray.services.definition import ServiceDefinition
from dd_ray.settings import settings


class Service:
    """Answers predict calls of one service. Its configuration is the definition and a version."""

    def __init__(self) -> None:
        take()
        set_up(settings())
        self._served: Served | None = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Loads the newest model; requests go on with the old one until it is there."""
        if self._served is not None:
            await self._served.reload()
            return
        definition = ServiceDefinition(**config["definition"])
        state = RemoteState(find_state())
        self._served = await Served.start(definition, state)
        here = ray.get_runtime_context().get_node_id()
        state.tell_worker_taken(definition.mllib_spec.extra, here)

    async def predict(self, raws: list[bytes]) -> list[tuple[int, bytes]]:
        """See Served.predict."""
        assert self._served is not None
        return await self._served.predict(raws)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What Serve's autoscaling asks of each replica."""
        return {WAITING: float(self._served.waiting if self._served else 0)}


def service_app(definition: ServiceDefinition, version: int) -> serve.Application:
    """The application of a service. The same code with another version is only reconfigured."""
    mllib = definition.effective({}).mllib
    deployment = serve.deployment(Service).options(
        name="service",
        user_config={"definition": definition.as_json(), "version": version},
        version="1",  # Serve restarts replicas when it changes, which a new model must not
        _internal=True,
        max_ongoing_requests=1000,
        graceful_shutdown_timeout_s=5,
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=10,
        logging_config=serve_logging(settings()),
        ray_actor_options={
            **actor_options(needs_of_service(mllib, settings())),
            **warm_options(definition.mllib_spec.extra),
        },
        **replica_options(mllib, settings()),
    )
    return deployment.bind()


__all__ = ["Service", "app_name", "service_app"]
