"""What the state asks of Serve, without a cluster."""

from __future__ import annotations

import asyncio

import pytest
from ray.serve.exceptions import RayServeException

from dd_ray.cluster import host
from dd_ray.cluster.host import RayHost


def test_nothing_is_ended_where_serve_has_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state and Serve start at the same time, and either may be there first."""

    def service_apps() -> list[str]:
        raise RayServeException("There is no Serve instance running on this Ray cluster.")

    monkeypatch.setattr(host, "service_apps", service_apps)
    asyncio.run(RayHost().end_others(["s"]))
