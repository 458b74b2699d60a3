"""What many small services cost: each in a process of its own, and all in one.

    python benchmarks/many_services.py [--alone 8] [--shared 100]

XGBoost models of 3 classes and 10 columns. Prints seconds of a creation, memory (proportional, so
that shared pages are counted once) and idle CPU of the whole server for each service, and seconds
of a predict call to each in turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import xgboost as xgb
from serve_targets import cpu_s, memory_mb, server_process
from support import machine, server

SETTLE_S = 15.0
IDLE_S = 20.0
ROW = ",".join(["0.5"] * 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alone", type=int, default=8)
    parser.add_argument("--shared", type=int, default=100)
    given = parser.parse_args()
    print("| | services | PUT, s | MB each | idle CPU each, % of one | predict, ms |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind, count in (("a process each", given.alone), ("one process", given.shared)):
        with tempfile.TemporaryDirectory() as folder, server() as url:
            print(f"| {kind} | {count} | {_costs(url, Path(folder), kind, count)} |", flush=True)
    print(f"\n{machine()}")


def _costs(url: str, root: Path, kind: str, count: int) -> str:
    process = server_process(int(url.rpartition(":")[2]))
    with httpx.Client(base_url=url, timeout=120) as http:
        _create(http, root, "first", shared=kind == "one process")
        before_mb, before_idle = _settled(process)
        creations = []
        for number in range(count):
            began = time.monotonic()
            _create(http, root, f"s{number}", shared=kind == "one process")
            creations.append(time.monotonic() - began)
        after_mb, after_idle = _settled(process)
        calls = []
        for number in range(count):
            began = time.monotonic()
            body = {"service": f"s{number}", "data": [ROW]}
            http.post("/predict", json=body).raise_for_status()
            calls.append(1000 * (time.monotonic() - began))
    return (
        f"{statistics.median(creations):.2f} | {(after_mb - before_mb) / count:.1f}"
        f" | {100 * (after_idle - before_idle) / count:.2f} | {statistics.median(calls):.1f}"
    )


def _settled(process: psutil.Process) -> tuple[float, float]:
    """MB of the server, and CPU seconds a second while nobody calls."""
    time.sleep(SETTLE_S)
    before = cpu_s(process)
    time.sleep(IDLE_S)
    return memory_mb(process), (cpu_s(process) - before) / IDLE_S


def _create(http: httpx.Client, root: Path, name: str, *, shared: bool) -> None:
    rng = np.random.default_rng(0)
    matrix = xgb.DMatrix(rng.normal(size=(200, 10)), label=rng.integers(0, 3, 200))
    booster = xgb.train({"objective": "multi:softprob", "num_class": 3}, matrix, 5)
    (root / name).mkdir()
    booster.save_model(root / name / "m.ubj")
    (root / name / "m.ubj").rename(root / name / "0005.model")
    call = {
        "mllib": "xgboost",
        "parameters": {
            "input": {"connector": "csv"},
            "mllib": {"nclasses": 3} | ({"shared": True} if shared else {}),
        },
        "model": {"repository": str(root / name)},
    }
    http.put(f"/services/{name}", json=call).raise_for_status()


if __name__ == "__main__":
    main()
