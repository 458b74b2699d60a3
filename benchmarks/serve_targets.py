"""The servers of the serving benchmark: starting, checking, asking and weighing them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from serve_loads import CLASSES, Load
from support import server

from dd_ray.cluster.flags import free_port

HERE = Path(__file__).parent
SERVICE = {"xgb": "trees", "image": "pictures"}


@dataclass
class Target:
    """A running server."""

    name: str
    url: str
    process: psutil.Process
    results: dict[tuple[str, int], list[Result]] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One run of wrk."""

    requests_s: float
    per_cpu_s: float
    p50_ms: float
    p99_ms: float


@contextmanager
def peer(name: str, kind: str, model: Path, python: str) -> Iterator[Target | None]:
    """A server of `peers/`, None where it is not installed."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [python, f"{name}_app.py", kind, str(model), str(port)],
            cwd=HERE / "peers",
            stdout=log,
            stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if _answers(process, url):
                yield Target(name, url, psutil.Process(process.pid))
            else:
                log.seek(0)
                last = log.read().decode(errors="replace").strip().splitlines()[-1:]
                print(f"{name} is left out: {' '.join(last)[:200]}", flush=True)
                yield None
        finally:
            end(process)


@contextmanager
def dd_ray(kind: str, root: Path, **env: str) -> Iterator[Target]:
    with server(DD_RAY_SERVICE_THREADS="1", **env) as url:
        if kind == "xgb":
            parameters: dict[str, Any] = {
                "input": {"connector": "csv"},
                "mllib": {"nclasses": CLASSES},
            }
            mllib, repository = "xgboost", root / "trees"
        else:
            parameters = {
                "input": {"connector": "image", "width": 224, "height": 224, "scale": 1 / 255},
                "mllib": {"nclasses": CLASSES},
            }
            mllib, repository = "torch", root / "pictures"
        call = {
            "mllib": mllib,
            "parameters": parameters,
            "model": {"repository": str(repository)},
        }
        httpx.put(f"{url}/services/{SERVICE[kind]}", json=call, timeout=120).raise_for_status()
        port = int(url.rpartition(":")[2])
        yield Target("dd-ray", url, server_process(port))


def server_process(port: int) -> psutil.Process:
    """The `dd-ray serve` that was started with this port: the root of its process tree."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # what earlier servers left ends meanwhile
            if {str(port), "serve"} <= set(process.cmdline()):
                return process
    raise SystemExit(f"no dd-ray serve with port {port}")


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return True
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    family += family[0].children(recursive=True) if family else []
    process.terminate()
    _, alive = psutil.wait_procs(family, 15)
    for member in alive:
        member.kill()
    process.wait(10)


def path_and_body(target: Target, load: Load) -> tuple[str, str]:
    if target.name == "dd-ray":
        return "/predict", json.dumps({"service": SERVICE[load.kind], "data": load.data})
    if target.name == "mlserver":
        given = {
            "name": "data",
            "shape": [len(load.data)],
            "datatype": "BYTES",
            "parameters": {"content_type": "str"},
            "data": load.data,
        }
        return "/v2/models/b/infer", json.dumps({"inputs": [given]})
    return "/predict", json.dumps({"data": load.data})


def classes_of(target: Target, answer: Any) -> list[str]:
    if target.name == "dd-ray":
        return [p["classes"][0]["cat"] for p in answer["body"]["predictions"]]
    if target.name == "mlserver":
        return [json.loads(text)["cat"] for text in answer["outputs"][0]["data"]]
    return [p["cat"] for p in answer["predictions"]]


_FIRST: dict[str, list[str]] = {}


def check(target: Target, load: Load) -> None:
    """All servers must say the same of a load; also warms them up."""
    path, body = path_and_body(target, load)
    deadline = time.monotonic() + 60
    while True:  # a server may listen before its model is there
        headers = {"Content-Type": "application/json"}
        try:
            answer = httpx.post(target.url + path, content=body, headers=headers, timeout=60)
            if answer.status_code == 200:
                break
            said = f"{answer.status_code} {answer.text[:300]}"
        except httpx.TransportError as exc:
            said = repr(exc)
        if time.monotonic() > deadline:
            raise SystemExit(f"{target.name}: {said}")
        time.sleep(0.5)
    found = classes_of(target, answer.json())
    if found != _FIRST.setdefault(load.name, found):
        raise SystemExit(f"{target.name} answers {load.name} differently: {found[:5]}")


SCRIPT = """
wrk.method = "POST"
wrk.path = "{path}"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency)
  io.write(string.format("\\nfound %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.timeout))
end
"""


def ask(target: Target, load: Load, connections: int, seconds: int, root: Path) -> Result:
    path, body = path_and_body(target, load)
    (root / "body").write_text(body)
    (root / "ask.lua").write_text(SCRIPT.format(path=path, body=root / "body"))
    before = cpu_s(target.process)
    out = subprocess.run(
        [
            "wrk",
            "-t1",
            "--timeout",
            "60s",
            f"-c{connections}",
            f"-d{seconds}",
            "-s",
            root / "ask.lua",
            target.url,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    spent = cpu_s(target.process) - before
    words = next(line for line in out.splitlines() if line.startswith("found")).split()
    count, duration_us, p50_us, p99_us, errors = map(int, words[1:])
    if errors:
        raise SystemExit(f"{target.name}, {load.name}, {connections}: {errors} errors")
    return Result(
        requests_s=count / duration_us * 1e6,
        per_cpu_s=count / spent,
        p50_ms=p50_us / 1000,
        p99_ms=p99_us / 1000,
    )


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process tree so far."""
    total = 0.0
    for member in family(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def memory_mb(process: psutil.Process) -> float:
    """Proportional memory of a process tree: shared pages are counted once."""
    total = 0
    for member in family(process):
        try:
            total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6
