"""A client that speaks to the ASGI app, or over the wire, in one way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import httpx


class Client:
    """Sends calls and returns (HTTP status, JSON); `http` is any httpx client."""

    def __init__(self, http: httpx.Client | AsgiHttp) -> None:
        self.http = http

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        answer = self.http.request(method, path, content=content, headers=headers)
        return answer.status_code, answer.json()

    def create(
        self,
        name: str,
        repository: str,
        *,
        mllib: dict[str, Any],
        input: dict[str, Any] | None = None,
    ) -> tuple[int, Any]:
        parameters = {"input": {"connector": "csv"} | (input or {}), "mllib": mllib}
        model = {"repository": repository, "create_repository": True}
        call = {"mllib": "xgboost", "description": "d", "parameters": parameters, "model": model}
        return self.call("PUT", f"/services/{name}", call)

    def train(
        self, name: str, *data: str, blocking: bool = True, **parameters: Any
    ) -> tuple[int, Any]:
        call = {
            "service": name,
            "async": not blocking,
            "parameters": parameters,
            "data": list(data),
        }
        return self.call("POST", "/train", call)

    def predict(self, name: str, *data: str, **parameters: Any) -> tuple[int, Any]:
        return self.call(
            "POST", "/predict", {"service": name, "parameters": parameters, "data": list(data)}
        )


class AsgiHttp:
    """An httpx client over an ASGI app, on an event loop that lives between the calls."""

    def __init__(self, app: Any) -> None:
        self._loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60)

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._client.request(method, path, **given))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine on the loop."""
        return self._loop.run_until_complete(work)

    def together(self, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
        """Sends calls at the same time."""

        async def send() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self._client.request(m, p, content=json.dumps(body)) for m, p, body in calls)
            )

        return self._loop.run_until_complete(send())

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        left = asyncio.all_tasks(self._loop)  # trainings that nobody waited for
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def ask_asgi(app: Any, method: str, body: bytes = b"", **scope: Any) -> tuple[int, bytes]:
    """HTTP status and body of an app's answer to a request that no client library would send."""
    sent: list[Any] = []
    asked = {"type": "http", "method": method, "query_string": b"", "headers": [], **scope}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(asked, receive, send))
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])
