"""One JPEG a request to resnet_18, 8 clients: dd-ray against FastAPI with PyTorch, in one run.

    python benchmarks/predict_image.py [--rounds 5] [--seconds 8]

Both have the same weights and one compute thread, and are asked in turn by `wrk`. Prints requests a
second, their ratio, and the memory of the process that holds the model.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import psutil
from serve_loads import make_loads, make_models
from serve_targets import Target, ask, check, dd_ray, family, peer
from support import machine

CLIENTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    given = parser.parse_args()
    (load,) = [load for load in make_loads() if load.name == "JPEG"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = make_models(root)["image"]
        with (
            peer("fastapi", "image", model, sys.executable) as plain,
            dd_ray("image", root) as ours,
        ):
            assert plain is not None
            for target in (plain, ours):
                check(target, load)
            pairs = []
            for _ in range(given.rounds):
                pair = [ask(t, load, CLIENTS, given.seconds, root) for t in (plain, ours)]
                pairs.append(pair)
                print(f"round: {pair[0].requests_s:.1f}, {pair[1].requests_s:.1f}", flush=True)
            print(f"\n{machine()}, {CLIENTS} clients\n")
            print("| | requests/s | per CPU s | p50 ms | p99 ms | process with the model, MB |")
            print("|---|--:|--:|--:|--:|--:|")
            for i, (target, holder) in enumerate(
                ((plain, plain.process), (ours, replica_of(ours)))
            ):
                runs = [pair[i] for pair in pairs]
                rate, per_cpu, p50, p99 = (
                    statistics.median(getattr(run, name) for run in runs)
                    for name in ("requests_s", "per_cpu_s", "p50_ms", "p99_ms")
                )
                memory = holder.memory_full_info().rss / 1e6
                print(
                    f"| {target.name} | {rate:.1f} | {per_cpu:.1f} | {p50:.0f} | {p99:.0f}"
                    f" | {memory:,.0f} |"
                )
            ratios = [ours_.requests_s / plain_.requests_s for plain_, ours_ in pairs]
            print(
                f"\nrequests a second, dd-ray of FastAPI: {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f} to {max(ratios):.2f})"
            )


def replica_of(target: Target) -> psutil.Process:
    """The process that holds the service's model."""
    for process in family(target.process):
        if "ServeReplica:s-" in " ".join(process.cmdline()):
            return process
    raise SystemExit("no replica found")


if __name__ == "__main__":
    main()
