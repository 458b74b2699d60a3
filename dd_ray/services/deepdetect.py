"""The server behind the REST resources, on whatever state and host it is given."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from dd_ray import __version__
from dd_ray.errors import ApiError, BadRequest, JobNotFound
from dd_ray.repository import CREATION_CALL, LAST_CALL, METRICS, Repository
from dd_ray.services.answer import Answer, Rendered, created, dumps
from dd_ray.services.definition import ServiceDefinition, data_of, define, open_repository
from dd_ray.services.history import subsample
from dd_ray.services.jobs import Status
from dd_ray.services.names import service_name
from dd_ray.services.ports import ServiceHost
from dd_ray.services.state import JobView, ServiceView

logger = logging.getLogger(__name__)

API_VERSION = "0.1"
"""`head.version` of /info: the version of the API that clients compare with."""


class StatePort(Protocol):
    """The state, wherever it is: methods of State."""

    async def check_free(self, name: str) -> None: ...
    async def create(self, definition: ServiceDefinition) -> None: ...
    async def delete(self, name: str, clear: str) -> None: ...
    async def view(self, name: str) -> ServiceView: ...
    async def views(self) -> list[ServiceView]: ...
    async def submit(self, service: str, call: Mapping[str, Any]) -> int: ...
    async def train(self, service: str, call: Mapping[str, Any]) -> JobView: ...
    async def job(self, service: str, job: int, *, timeout_s: float) -> JobView: ...
    async def stop(self, service: str, job: int) -> JobView | None: ...


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
        await self._state.create(definition)
        if definition.effective({}).output.store_config:
            await _write(repository, CREATION_CALL, raw)
        await _write(repository, LAST_CALL, raw)
        return created()

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
        name = service_name(service)
        view = await self._state.view(name)
        found = await self._state.job(name, _job_id(job), timeout_s=timeout_s)
        head: dict[str, Any] = {"method": "/train", "job": job, "status": found.job.shown_status}
        if found.job.status is Status.ERROR:
            return Answer(head=head, body={"Error": found.job.error})
        head["time"] = float(int(found.elapsed_s))
        body = dict(found.job.body) if found.job.body else _running(found, view.definition)
        if history:
            body["measure_hist"] = subsample(found.history, max_points)
        body |= _identity(view.definition)
        answer = Answer(head=head, body=body)
        repository = Repository(view.definition.repository)
        content = dumps(answer.envelope())
        await _write(repository, METRICS, content)
        if found.job.ended:
            await _write(repository, LAST_CALL, content)
        return answer

    async def stop_job(self, service: str, job: int | None) -> Answer:
        name = service_name(service)
        await self._state.view(name)
        stopped = await self._state.stop(name, _job_id(job))
        head: dict[str, Any] = {"method": "/train", "job": job}
        if stopped is not None:
            head |= {"status": Status.TERMINATED.value, "time": float(int(stopped.elapsed_s))}
        return Answer(head=head)

    async def predict(self, service: str, raw: bytes) -> Rendered:
        return await self._host.predict(service_name(service), raw)


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
    return {"measure": dict(found.measure), "model": {"repository": definition.repository}}


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
        }
    return item


def _detail(view: ServiceView) -> dict[str, Any]:
    """The body of GET /services/{name}."""
    sizes = {"flops": 0, "params": 0, "data_mem_train": 0, "data_mem_test": 0}
    return _summary(view, detailed=True) | {"stats": sizes, "model_stats": sizes}


def _jobs(view: ServiceView) -> list[dict[str, Any]]:
    items = []
    for each in view.jobs:
        if each.job.blocking:
            continue
        item: dict[str, Any] = {"job": each.job.id, "status": each.job.shown_status}
        if not each.job.ended:
            item |= {"measure": dict(each.measure), "time": float(int(each.elapsed_s))}
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
