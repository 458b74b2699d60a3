"""The server behind the REST resources, on whatever state and host it is given."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from dd_ray import __version__
from dd_ray.errors import ApiError, BadRequest, JobNotFound
from dd_ray.guard.messages import told
from dd_ray.repository import CREATION_CALL, LAST_CALL, METRICS, Repository
from dd_ray.services.answer import Answer, Rendered, created, dumps
from dd_ray.services.definition import (
    ServiceDefinition,
    data_of,
    define,
    open_repository,
    start_from_archive,
)
from dd_ray.services.history import subsample
from dd_ray.services.job_list import job_list
from dd_ray.services.jobs import Status
from dd_ray.services.memory import check_memory, memory_needed
from dd_ray.services.metrics import TEXT, Sample, text
from dd_ray.services.names import service_name
from dd_ray.services.ports import Replica, ServiceHost
from dd_ray.services.readiness import readiness
from dd_ray.services.records import JobView, PastJob, Readiness, ServiceView
from dd_ray.services.request_counts import Requests
from dd_ray.settings import settings

logger = logging.getLogger(__name__)

API_VERSION = "0.1"
"""`head.version` of /info: the version of the API that clients compare with."""


class StatePort(Protocol):
    """The state, wherever it is: methods of State, which see that nothing is done twice."""

    async def check_free(self, name: str) -> None: ...
    async def create(self, definition: ServiceDefinition) -> None: ...
    async def delete(self, name: str, clear: str) -> None: ...
    async def view(self, name: str) -> ServiceView: ...
    async def views(self) -> list[ServiceView]: ...
    async def submit(self, service: str, call: Mapping[str, Any]) -> int: ...
    async def train(self, service: str, call: Mapping[str, Any]) -> JobView: ...
    async def job(self, service: str, job: int, *, timeout_s: float, request: str) -> JobView: ...
    async def confirm(self, service: str, job: int, *, request: str) -> None: ...
    async def release(self, service: str, job: int, *, request: str) -> None: ...
    async def stop(self, service: str, job: int) -> float | None: ...
    async def past_jobs(self, service: str = "", *, most: int = 100) -> list[PastJob]: ...
    async def readiness(self) -> Readiness: ...
    async def samples(self) -> list[Sample]: ...
    async def count_requests(self, requests: Sequence[Requests]) -> None: ...


class Server:
    """Answers the calls of the API; see the protocol DeepDetect."""

    def __init__(self, state: StatePort, host: ServiceHost) -> None:
        self._state = state
        self._host = host

    async def info(self, *, status: bool) -> Answer:
        views = await self._state.views()
        head = {
            "method": "/info",
            "version": API_VERSION,
            "branch": "master",
            "commit": f"dd-ray {__version__}",
            "build-type": "dd-ray",
            "compile_flags": "",
            "deps_version": _versions(),
            "services": [_summary(view, detailed=status) for view in views],
        }
        return Answer(head=head)

    async def check_free(self, name: str) -> None:
        await self._state.check_free(service_name(name))

    async def create_service(self, name: str, call: Mapping[str, Any], raw: bytes) -> Answer:
        name = service_name(name)
        definition, model = define(name, call)
        repository = await asyncio.to_thread(open_repository, model)
        if model.init:
            definition = await asyncio.to_thread(start_from_archive, definition, model, repository)
        await asyncio.to_thread(definition.check_creation, repository)
        await self._check_memory(definition, repository)
        await self._host.check_reach(definition)
        await self._state.create(definition)
        if definition.effective({}).output.store_config and not model.init:
            await _write(repository, CREATION_CALL, raw)
        await _write(repository, LAST_CALL, raw)
        return created()

    async def _check_memory(self, definition: ServiceDefinition, repository: Repository) -> None:
        factor = settings().memory_factor
        needed = await asyncio.to_thread(memory_needed, definition, repository, factor=factor)
        if needed:
            check_memory(needed, await self._host.free_memory())

    async def get_service(self, name: str) -> Answer:
        view = await self._state.view(service_name(name))
        return Answer(body=_detail(view))

    async def delete_service(self, name: str, *, clear: str) -> Answer:
        await self._state.delete(service_name(name), clear)
        return Answer()

    async def train(self, call: Mapping[str, Any], raw: bytes) -> Answer:
        name = service_name(call["service"])
        blocking = _is_blocking(call)
        if not blocking:
            job = await self._state.submit(name, call)
            return created(head={"method": "/train", "job": job, "status": "running"})
        view = await self._state.view(name)
        output = view.definition.effective(call.get("parameters")).output
        data_of(call)
        began = time.monotonic()
        done = await self._state.train(name, call)
        _raise_failure(done)
        body = dict(done.job.body or {})
        if output.measure_hist:
            body["measure_hist"] = subsample(done.history, output.max_hist_points)
        took_s = float(int(time.monotonic() - began))
        answer = created(head={"method": "/train", "time": took_s}, body=body)
        await _write(Repository(view.definition.repository), LAST_CALL, dumps(answer.envelope()))
        return answer

    async def get_job(
        self, service: str, job: int | None, *, timeout_s: float, history: bool, max_points: int
    ) -> Answer:
        name, number, request = service_name(service), _job_id(job), uuid.uuid4().hex
        view = await self._state.view(name)
        try:
            found = await self._state.job(name, number, timeout_s=timeout_s, request=request)
        except asyncio.CancelledError:  # the client is gone, and the state may not know it
            await asyncio.shield(self._state.release(name, number, request=request))
            raise
        points = max_points if history else None
        if not found.job.ended:
            return await self._job_answer(found, view.definition, points)
        delivered = partial(self._delivered, name, number, request)
        try:
            answer = await self._job_answer(found, view.definition, points)
        except BaseException:
            await asyncio.shield(delivered(False))
            raise
        return replace(answer, delivered=delivered)

    async def _job_answer(
        self, found: JobView, definition: ServiceDefinition, points: int | None
    ) -> Answer:
        """With so many points of history, None for none; kept in the repository."""
        head: dict[str, Any] = {
            "method": "/train",
            "job": found.job.id,
            "status": found.job.shown_status,
        }
        if found.job.status is Status.ERROR:
            return Answer(head=head, body={"Error": found.job.error})
        head["time"] = float(int(found.elapsed_s))
        body = dict(found.job.body) if found.job.body else _running(found, definition)
        if points is not None:
            body["measure_hist"] = subsample(found.history, points)
        body |= _identity(definition)
        answer = Answer(head=head, body=body)
        repository = Repository(definition.repository)
        content = dumps(answer.envelope())
        await _write(repository, METRICS, content)
        if found.job.ended:
            await _write(repository, LAST_CALL, content)
        return answer

    async def _delivered(self, name: str, job: int, request: str, done: bool) -> None:
        """A final report that did not reach its client is there for the next that asks."""
        tell = self._state.confirm if done else self._state.release
        await tell(name, job, request=request)

    async def stop_job(self, service: str, job: int | None) -> Answer:
        name = service_name(service)
        await self._state.view(name)
        elapsed_s = await self._state.stop(name, _job_id(job))
        head: dict[str, Any] = {"method": "/train", "job": job}
        if elapsed_s is not None:
            head |= {"status": Status.TERMINATED.value, "time": float(int(elapsed_s))}
        return Answer(head=head)

    async def predict(self, service: str, raw: bytes) -> Rendered:
        return await self._host.predict(service_name(service), raw)

    async def jobs(self, service: str, *, most: int) -> Answer:
        name = service_name(service) if service else ""
        views = await self._state.views()
        past = await self._state.past_jobs(name, most=most)
        wanted = [view for view in views if name in ("", view.definition.name)]
        return Answer(head={"method": "/jobs"}, body={"jobs": job_list(wanted, past, most=most)})

    async def readiness(self) -> Answer:
        return await readiness(self._state.readiness())

    async def metrics(self) -> Rendered:
        found = text(await self._state.samples())
        return Rendered(code=200, content=found.encode(), media_type=TEXT)

    async def count_requests(self, requests: Sequence[Requests]) -> None:
        await self._state.count_requests(requests)


def _is_blocking(call: Mapping[str, Any]) -> bool:
    given = call.get("async")
    if given is None:
        return False
    if not isinstance(given, bool):
        raise BadRequest(f"async: expected true or false, got {given!r}")
    return not given


def _job_id(job: int | None) -> int:
    if job is None:
        raise JobNotFound("no job given, expected its number in `job`")
    return job


def _raise_failure(done: JobView) -> None:
    """A blocking call answers with the error of its training."""
    error = done.job.error
    if error is None:
        return
    failure = ApiError(str(error.get("dd_msg", "")))
    failure.status, failure.msg = int(error["code"]), str(error["msg"])
    failure.dd_code = int(error.get("dd_code", 500))
    raise failure


def _running(found: JobView, definition: ServiceDefinition) -> dict[str, Any]:
    body = {"measure": dict(found.measure), "model": {"repository": definition.repository}}
    return body | ({"waiting": found.waits} if found.waits else {})


def _identity(definition: ServiceDefinition) -> dict[str, Any]:
    return {
        "mltype": definition.mltype,
        "sname": definition.name,
        "description": definition.description,
    }


def _summary(view: ServiceView, *, detailed: bool) -> dict[str, Any]:
    """An item of `head.services`."""
    item = {
        "name": view.definition.name,
        "description": view.definition.description,
        "mllib": view.definition.mllib,
        "mltype": view.definition.mltype,
        "predict": not view.training,
        "training": view.training,
        "service_stats": view.stats.as_json(),
    }
    if detailed:
        item |= {
            "type": view.definition.type,
            "repository": view.definition.repository,
            "parameters": view.definition.parameters,
            "jobs": _jobs(view),
            "ready": view.ready,
            "replicas": [_replica(each) for each in view.replicas],
        }
        if not view.ready:
            item["problem"] = told(view.problem)
    return item


def _detail(view: ServiceView) -> dict[str, Any]:
    """The body of GET /services/{name}."""
    sizes = {"flops": 0, "params": 0, "data_mem_train": 0, "data_mem_test": 0}
    return _summary(view, detailed=True) | {"stats": sizes, "model_stats": sizes}


def _replica(replica: Replica) -> dict[str, Any]:
    item: dict[str, Any] = {"name": replica.name, "ready": not replica.problem}
    return item | ({"problem": told(replica.problem)} if replica.problem else {})


def _jobs(view: ServiceView) -> list[dict[str, Any]]:
    items = []
    for each in view.jobs:
        if each.job.blocking:
            continue
        item: dict[str, Any] = {"job": each.job.id, "status": each.job.shown_status}
        if not each.job.ended:
            item |= {"measure": dict(each.measure), "time": float(int(each.elapsed_s))}
            item |= {"waiting": each.waits} if each.waits else {}
        items.append(item)
    return items


async def _write(repository: Repository, name: str, content: bytes) -> None:
    """Keeps a call or an answer beside the model; a failure is logged, never answered."""
    try:
        await asyncio.to_thread(repository.write, name, content)
    except (ApiError, OSError) as exc:
        logger.warning("%s not written: %s", name, exc)


def _versions() -> str:
    found = []
    for package in ("ray", "xgboost", "torch"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
