"""The ways that a predict call can take to a service: all must answer alike."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx

from dd_ray.api.fast_server import FastServer
from dd_ray.services.deepdetect import Server
from tests.api.client import AsgiHttp

ROUTES = ("api", "path", "replica")
KEY = "key of the edge"


class RoutedHttp:
    """Sends `POST /predict` by one of the ROUTES, as the edge would, and all else to the app."""

    def __init__(self, http: AsgiHttp, server: Server, route: str) -> None:
        self._http = http
        self._server = server
        self._route = route

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        name = self._service(given.get("content")) if (method, path) == ("POST", "/predict") else ""
        if self._route == "api" or not name:
            return self._http.request(method, path, **given)
        if self._route == "path":
            return self._http.request(method, f"/predict/{quote(name)}", **given)
        return self._http.run(self._at_the_replica(name, **given))

    def _service(self, content: Any) -> str:
        """The service that a body names, if there is such a one; the edge knows no others."""
        try:
            name = json.loads(content)["service"].lower()
        except (ValueError, KeyError, AttributeError, TypeError):
            return ""
        known = self._http.request("GET", "/info").json()["head"]["services"]
        return name if name in [service["name"] for service in known] else ""

    async def _at_the_replica(self, name: str, **given: Any) -> httpx.Response:
        host: Any = self._server._host
        _, batcher, stats = host._services[name]
        server = FastServer(batcher.submit, key=KEY, max_body_bytes=2**28)
        port = await server.start("127.0.0.1")
        headers = given.pop("headers", None) or {}
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(
                f"http://127.0.0.1:{port}/predict", headers=headers | {"x-dd-ray-key": KEY}, **given
            )
        await server.close()
        await host.state.count(name, stats.take())
        return answer
