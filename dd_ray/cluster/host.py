"""Services as Serve applications: deploying them, ending them, calling them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from ray import serve
from ray.serve._private.build_app import build_app
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from dd_ray.cluster.names import app_name
from dd_ray.cluster.remote import outcome
from dd_ray.cluster.warm import prestart_workers
from dd_ray.errors import ApiError, LibraryError, ServiceNotFound
from dd_ray.services.answer import Rendered
from dd_ray.services.definition import ServiceDefinition

logger = logging.getLogger(__name__)

_POLL_S = 0.02
_DEPLOY_TIMEOUT_S = 600.0
_UNDEPLOY_TIMEOUT_S = 60.0


class RayHost:
    """Runs each service as a Serve application of its own."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def deploy(self, definition: ServiceDefinition, version: int) -> None:
        from dd_ray.cluster.service_app import service_app

        app = service_app(definition, version)
        await asyncio.to_thread(deploy_app, app, app_name(definition.name), route_prefix=None)
        if version == 1:
            await asyncio.to_thread(prestart_workers, 1)

    async def undeploy(self, name: str) -> None:
        self._handles.pop(name, None)
        await asyncio.to_thread(undeploy_app, app_name(name))

    async def predict(self, name: str, raw: bytes) -> Rendered:
        handle = self._handles.get(name)
        try:
            if handle is None:
                handle = self._handles[name] = serve.get_app_handle(app_name(name))
            code, content = await outcome(handle.predict.remote(raw))
        except RayServeException as exc:
            self._handles.pop(name, None)
            raise ServiceNotFound(repr(name)) from exc
        return Rendered(code=code, content=content)

    def forget(self, name: str) -> None:
        """Drops the handle of a service that is gone."""
        self._handles.pop(name, None)


def deploy_app(app: serve.Application, name: str, *, route_prefix: str | None) -> None:
    """Deploys an application and waits until it runs that version; raises LibraryError.

    `serve.run` does the same but looks once a second.
    """
    client = _get_global_client()
    built = build_app(app, name=name, route_prefix=route_prefix)
    client.deploy_applications(
        [built], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False
    )
    deadline = time.monotonic() + _DEPLOY_TIMEOUT_S
    while time.monotonic() < deadline:
        status = client.get_serve_status(name)
        match status.app_status.status:
            case ApplicationStatus.RUNNING:
                return
            case ApplicationStatus.DEPLOY_FAILED | ApplicationStatus.UNHEALTHY:
                logger.error("%s: %s", name, status.app_status.message)
                raise LibraryError("the service could not be started, see the server's log")
        time.sleep(_POLL_S)
    raise LibraryError(f"the service did not start within {_DEPLOY_TIMEOUT_S:.0f} s")


def undeploy_app(name: str) -> None:
    """Ends an application and waits until its name is free."""
    client = _get_global_client()
    client.delete_apps([name], blocking=False)
    deadline = time.monotonic() + _UNDEPLOY_TIMEOUT_S
    while time.monotonic() < deadline:
        if client.get_serve_status(name).app_status.status == ApplicationStatus.NOT_STARTED:
            return
        time.sleep(_POLL_S)
    raise ApiError(f"the service did not end within {_UNDEPLOY_TIMEOUT_S:.0f} s")
