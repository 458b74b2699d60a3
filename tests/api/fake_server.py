"""A server that notes what it is asked and answers the same to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dd_ray.services.answer import Answer, Rendered, created
from dd_ray.services.request_counts import Requests


class FakeServer:
    """A DeepDetect of canned answers; raises `error` instead when there is one."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None
        self.counted: list[Requests] = []

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    async def info(self, *, status: bool) -> Answer:
        self._note("info", status)
        return Answer(head={"method": "/info", "services": []})

    async def check_free(self, name: str) -> None:
        return None

    async def create_service(self, name: str, call: Mapping[str, Any], raw: bytes) -> Answer:
        self._note("create", name, call, raw)
        return created()

    async def get_service(self, name: str) -> Answer:
        self._note("get", name)
        return Answer(body={"name": name, "jobs": []})

    async def delete_service(self, name: str, *, clear: str) -> Answer:
        self._note("delete", name, clear)
        return Answer()

    async def train(self, call: Mapping[str, Any], raw: bytes) -> Answer:
        self._note("train", call, raw)
        return created(head={"method": "/train", "job": 1, "status": "running"})

    async def get_job(
        self, service: str, job: int | None, *, timeout_s: float, history: bool, max_points: int
    ) -> Answer:
        self._note("job", service, job, timeout_s, history, max_points)
        return Answer(head={"method": "/train", "job": job, "status": "running", "time": 0.0})

    async def stop_job(self, service: str, job: int | None) -> Answer:
        self._note("stop", service, job)
        return Answer(head={"method": "/train", "job": job})

    async def jobs(self, service: str, *, most: int) -> Answer:
        self._note("jobs", service, most)
        return Answer(body={"jobs": []})

    async def metrics(self) -> Rendered:
        self._note("metrics")
        return Rendered(code=200, content=b"up 1\n", media_type="text/plain")

    async def count_requests(self, requests: Sequence[Requests]) -> None:
        self.counted.extend(requests)

    async def readiness(self) -> Answer:
        self._note("readiness")
        return Answer(body={"ready": True})

    async def predict(self, service: str, raw: bytes) -> Rendered:
        self._note("predict", service, raw)
        return Rendered(code=200, content=b'{"status":{"code":200,"msg":"OK"}}')
