"""The REST API as the commands call it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

_CONNECT_S = 10.0
_ANSWER_S = 3600.0
"""A service may take long to load its model, and a prediction may have a million rows."""

Answer = dict[str, Any]
"""An answer's JSON: `status`, and `head` and `body` where the call has them."""


class Refused(Exception):
    """The API answered with an error; the message is its text."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        code = status.get("dd_code", status.get("code"))
        super().__init__(f"{status.get('dd_msg') or status.get('msg', 'refused')} ({code})")
        self.code = code
        """DeepDetect's code where there is one, else the HTTP status."""


class Unreachable(Exception):
    """Nobody answered, or somebody who does not speak this API."""


class Api:
    """Calls of one server, over HTTP or in this process: whatever the httpx client does."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def info(self) -> Answer:
        return await self._call("GET", "/info", query={"status": "true"})

    async def create(self, service: str, call: Mapping[str, Any]) -> Answer:
        return await self._call("PUT", _path(service), body=call)

    async def service(self, service: str) -> Answer:
        return await self._call("GET", _path(service))

    async def delete(self, service: str, *, clear: str) -> Answer:
        return await self._call("DELETE", _path(service), query={"clear": clear})

    async def train(self, call: Mapping[str, Any]) -> Answer:
        return await self._call("POST", "/train", body=call)

    async def job(self, service: str, job: int) -> Answer:
        """A job's report with its history. That of an ended job is given once."""
        query = {"service": service, "job": job, "parameters.output.measure_hist": "true"}
        return await self._call("GET", "/train", query=query)

    async def jobs(self, service: str) -> Answer:
        """All jobs, also those whose report was taken; takes none."""
        return await self._call("GET", "/jobs", query={"service": service} if service else {})

    async def stop_job(self, service: str, job: int) -> Answer:
        return await self._call("DELETE", "/train", query={"service": service, "job": job})

    async def predict(self, call: Mapping[str, Any]) -> str:
        """The answer as text, which a template may have made something else of than JSON."""
        response = await self._send("POST", "/predict", body=call)
        if response.is_error:
            self._parsed(response)
        return response.text

    async def _call(self, method: str, path: str, **given: Any) -> Answer:
        return self._parsed(await self._send(method, path, **given))

    async def _send(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=body, params=query)
        except httpx.TransportError as exc:
            reason = str(exc) or type(exc).__name__
            raise Unreachable(f"no answer from {self._http.base_url}: {reason}") from exc

    def _parsed(self, response: httpx.Response) -> Answer:
        try:
            answer = response.json()
            status = answer["status"]
        except (ValueError, KeyError, TypeError) as exc:
            raise Unreachable(
                f"{self._http.base_url} does not speak the DeepDetect API:"
                f" it answered {response.status_code} to {response.request.url.path}"
            ) from exc
        if response.is_error:
            raise Refused(status)
        assert isinstance(answer, dict)
        return answer


def over_http(address: str) -> httpx.AsyncClient:
    """A client of the server at `address`, with the key in DD_RAY_API_KEY; raises Unreachable.

    >>> str(over_http("gpu-1:8080").base_url)
    'http://gpu-1:8080'
    """
    try:
        url = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL as exc:
        raise Unreachable(f"address {address!r}: {exc}, expected http://HOST:PORT") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise Unreachable(f"address {address!r}, expected http://HOST:PORT")
    key = os.environ.get("DD_RAY_API_KEY", "")
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
    )


def _path(service: str) -> str:
    return f"/services/{quote(service, safe='')}"
