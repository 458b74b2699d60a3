"""Serve's applications: deploying them, ending them, and which there are."""

from __future__ import annotations

import logging
import time

from ray import serve
from ray.serve._private.build_app import build_app
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus

from dd_ray.cluster.names import is_app_name
from dd_ray.errors import ApiError, LibraryError
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

_POLL_S = 0.02
_DEPLOY_TIMEOUT_S = 600.0
_UNDEPLOY_TIMEOUT_S = 60.0


def service_apps() -> list[str]:
    """The applications that are services."""
    statuses = _get_global_client().list_serve_statuses()
    return [status.name for status in statuses if is_app_name(status.name)]


def is_deployed(name: str) -> bool:
    """Whether there is an application of that name, up or not."""
    status = _get_global_client().get_serve_status(name).app_status.status
    return bool(status != ApplicationStatus.NOT_STARTED)


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
            case ApplicationStatus.DEPLOY_FAILED:  # not UNHEALTHY: a replica is being replaced
                logger.error("%s: %s", name, status.app_status.message)
                raise LibraryError("the service could not be started, see the server's log")
        time.sleep(_POLL_S)
    raise LibraryError(f"the service did not start within {_DEPLOY_TIMEOUT_S:.0f} s")


def undeploy_app(name: str) -> None:
    """Ends an application and waits until its name is free."""
    client = _get_global_client()
    client.delete_apps([name], blocking=False)
    within_s = _UNDEPLOY_TIMEOUT_S + settings().drain_s
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not is_deployed(name):
            return
        time.sleep(_POLL_S)
    raise ApiError(f"the service did not end within {within_s:.0f} s")
