"""Serving against what people would pick instead, in one run.

    python benchmarks/serve.py [--rounds 5] [--seconds 4] [--peers PYTHON] [--only NAME ...]

Starts each server of `peers/` and dd-ray with the same two models: XGBoost (54 features, 7 classes,
50 rounds) with 1 and with 100 rows a request, and resnet_18 with one JPEG of 224 x 224 in base64;
one compute thread each. Checks that all answer alike, then asks with `wrk` at 1, 8 and 32
connections, round after round in turn, because the machine's speed changes; with images four times
as long. Prints requests a second, requests a second of CPU of the whole process tree, latencies and
memory, and what each is of FastAPI, as a Markdown table. dd-ray is asked at its public port, in
DeepDetect's JSON.

`--peers` is the Python of an environment that has the peers: `pip install litserve bentoml
"ray[serve]" "uvicorn[standard]" orjson xgboost torch torchvision opencv-python-headless`; MLServer
does not go with the others' FastAPI and needs one of its own, `--mlserver`. A peer that is not
installed is left out and named.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from serve_loads import Load, make_loads, make_models
from serve_targets import Target, ask, check, dd_ray, memory_mb, peer
from support import machine

CONNECTIONS = (1, 8, 32)
PEERS = ("fastapi", "litserve", "bentoml", "mlserver", "ray_serve")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--mlserver", default=None, help="another Python for MLServer")
    parser.add_argument("--only", nargs="*", default=[*PEERS, "dd-ray"])
    parser.add_argument("--loads", nargs="*", default=["1 row", "100 rows", "JPEG"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        models = make_models(root)
        loads = [load for load in make_loads() if load.name in given.loads]
        for kind in ("xgb", "image"):
            own = [load for load in loads if load.kind == kind]
            if own:
                compare(kind, own, models[kind], root, given)
    print(f"\n{machine()}; {given.rounds} rounds of {given.seconds} s, medians")


def compare(kind: str, loads: list[Load], model: Path, root: Path, given: Any) -> None:
    """Starts all servers of one model at a time, asks them in turn, and prints their table."""
    with ExitStack() as stack:
        targets = []
        for name in given.only:
            python = given.mlserver if name == "mlserver" and given.mlserver else given.peers
            starting = dd_ray(kind, root) if name == "dd-ray" else peer(name, kind, model, python)
            target = stack.enter_context(starting)
            if target is not None:
                targets.append(target)
        for load in loads:
            for target in targets:
                check(target, load)
        for _ in range(given.rounds):
            for load in loads:
                for connections in CONNECTIONS:
                    for target in targets:
                        seconds = given.seconds * load.longer
                        result = ask(target, load, connections, seconds, root)
                        target.results.setdefault((load.name, connections), []).append(result)
        for target in targets:
            target.memory_mb[kind] = memory_mb(target.process)
        for load in loads:
            table(load, targets, kind)


def table(load: Load, targets: list[Target], kind: str) -> None:
    print(f"\n### {load.name}\n")
    columns = ("", "connections", "requests/s", "per CPU s", "of FastAPI", "p50 ms", "p99 ms")
    print("| " + " | ".join([*columns, "spread of per CPU s"]) + " |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for connections in CONNECTIONS:
        base = None
        for target in targets:
            results = target.results[load.name, connections]
            rate = statistics.median(r.per_cpu_s for r in results)
            base = base or rate
            lowest, highest = (f(r.per_cpu_s for r in results) for f in (min, max))
            print(
                f"| {target.name} | {connections}"
                f" | {statistics.median(r.requests_s for r in results):,.0f}"
                f" | {rate:,.0f} | {rate / base:.2f}"
                f" | {statistics.median(r.p50_ms for r in results):.1f}"
                f" | {statistics.median(r.p99_ms for r in results):.1f}"
                f" | {lowest:,.0f} to {highest:,.0f} |"
            )
    memory = ", ".join(f"{t.name} {t.memory_mb[kind]:,.0f}" for t in targets)
    print(f"\nmemory of the process tree, MB: {memory}")


if __name__ == "__main__":
    main()
