"""How long creating a service and a small training take on a warm server.

    python benchmarks/latency.py [--repeats 7]

Prints medians and spreads: PUT /services for xgboost, a blocking iris training with 10 rounds, and
the same training with plain XGBoost in this process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import xgboost as xgb
from sklearn.datasets import load_iris
from support import machine, server

from dd_ray.mllibs.xgboost.params import XGBoostParams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    data = load_iris()
    times: dict[str, list[float]] = {"PUT /services": [], "POST /train": [], "plain XGBoost": []}
    with tempfile.TemporaryDirectory() as folder, server() as url:
        path = write(Path(folder) / "iris.csv", data.data, data.target)
        with httpx.Client(base_url=url, timeout=120) as client:
            for repeat in range(repeats):
                time.sleep(8)  # a warm server has an idle worker: starting one takes 3 to 6 s here
                times["PUT /services"].append(create(client, f"s{repeat}", f"{folder}/{repeat}"))
                time.sleep(8)
                times["POST /train"].append(train(client, f"s{repeat}", path))
                client.delete(f"/services/s{repeat}").raise_for_status()
                times["plain XGBoost"].append(plain(data.data, data.target))
    print(f"\n{machine()}\n")
    print("| | median s | least | most |")
    print("|---|--:|--:|--:|")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"| {name} | {middle:.3f} | {min(seconds):.3f} | {max(seconds):.3f} |")


def create(client: httpx.Client, name: str, repository: str) -> float:
    call = {
        "mllib": "xgboost",
        "parameters": {"input": {"connector": "csv", "label": "y"}, "mllib": {"nclasses": 3}},
        "model": {"repository": repository, "create_repository": True},
    }
    began = time.perf_counter()
    client.put(f"/services/{name}", json=call).raise_for_status()
    return time.perf_counter() - began


def train(client: httpx.Client, name: str, path: Path) -> float:
    parameters = {"mllib": {"iterations": 10}}
    call = {"service": name, "async": False, "parameters": parameters, "data": [str(path)]}
    began = time.perf_counter()
    client.post("/train", json=call).raise_for_status()
    return time.perf_counter() - began


def plain(values: np.ndarray, labels: np.ndarray) -> float:
    given = XGBoostParams.merge({"nclasses": 3}).for_xgboost(threads=2)
    began = time.perf_counter()
    xgb.train(given, xgb.DMatrix(values, label=labels), num_boost_round=10)
    return time.perf_counter() - began


def write(path: Path, values: np.ndarray, labels: np.ndarray) -> Path:
    lines = ["a,b,c,d,y"]
    lines += [",".join(map(str, [*row, label])) for row, label in zip(values, labels, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
