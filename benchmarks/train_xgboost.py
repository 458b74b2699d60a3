"""Training through the server against `xgboost.train` on the same arrays, in one run.

    python benchmarks/train_xgboost.py [--rows 200000] [--rounds 100] [--repeats 3]

Prints seconds of both, their ratio, and whether the two models predict the same bits.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv
import xgboost as xgb
from sklearn.datasets import make_classification
from support import machine, server

from dd_ray.mllibs.xgboost.params import XGBoostParams

CLASSES, FEATURES = 7, 54


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()

    values, labels = make_classification(
        given.rows, FEATURES, n_informative=20, n_classes=CLASSES, random_state=0
    )
    values = values.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, server() as url:
        path = Path(folder) / "train.csv"
        columns = {f"c{i}": values[:, i] for i in range(FEATURES)} | {"y": labels}
        pa.csv.write_csv(pa.table(columns), path)
        del columns
        plain_s, read_s, served_s, inside_s, models = [], [], [], [], []
        for repeat in range(given.repeats):
            seconds, plain = train_plain(values, labels, given.rounds)
            plain_s.append(seconds)
            read_s.append(seconds + read_plain(path))
            seconds, inside = train_served(url, path, Path(folder) / str(repeat), given.rounds)
            served_s.append(seconds)
            inside_s.append(inside)
            served = xgb.Booster()
            served.load_model(
                bytearray((Path(folder) / str(repeat) / f"{given.rounds:04d}.model").read_bytes())
            )
            some = xgb.DMatrix(values[:10_000])
            models.append(np.array_equal(plain.predict(some), served.predict(some)))
            print(f"repeat {repeat}: plain {seconds_of(plain_s)}, served {seconds_of(served_s)}")

    plain, served, inside = map(statistics.median, (plain_s, served_s, inside_s))
    read = statistics.median(read_s)
    print(f"\n{machine()}")
    print(f"{given.rows:,} x {FEATURES}, {CLASSES} classes, {given.rounds} rounds\n")
    print("| | seconds (median) | of plain |")
    print("|---|--:|--:|")
    print(f"| xgboost.train on arrays in memory, with its DMatrix | {plain:.2f} | 1.00 |")
    print(f"| the same after reading the CSV file with pyarrow | {read:.2f} | {read / plain:.3f} |")
    print(f"| POST /train, iterations alone | {inside:.2f} | {inside / plain:.3f} |")
    whole = "POST /train, all: process, CSV from disk, save, reload"
    print(f"| {whole} | {served:.2f} | {served / plain:.3f} |")
    print(f"\nPOST /train of plain training with reading: {served / read:.3f}")
    print(f"\nbit-equal predictions: {all(models)}")
    print(f"plain {spread(plain_s)}, served {spread(served_s)}, iterations {spread(inside_s)}")


def train_plain(values: np.ndarray, labels: np.ndarray, rounds: int) -> tuple[float, xgb.Booster]:
    given = XGBoostParams.merge({"nclasses": CLASSES})
    began = time.perf_counter()
    matrix = xgb.DMatrix(values, label=labels)
    booster = xgb.train(given.for_xgboost(threads=2), matrix, num_boost_round=rounds)
    return time.perf_counter() - began, booster


def read_plain(path: Path) -> float:
    """Seconds that a script would need for the file: pyarrow's reader and a float32 array."""
    began = time.perf_counter()
    table = pa.csv.read_csv(path)
    np.column_stack([table.column(f"c{i}").to_numpy().astype(np.float32) for i in range(FEATURES)])
    return time.perf_counter() - began


def train_served(url: str, path: Path, repository: Path, rounds: int) -> tuple[float, float]:
    """Seconds of the whole call, and of its iterations as its history has them."""
    with httpx.Client(base_url=url, timeout=3600) as client:
        parameters = {
            "input": {"connector": "csv", "label": "y"},
            "mllib": {"nclasses": CLASSES, "iterations": rounds},
        }
        model = {"repository": str(repository), "create_repository": True}
        call = {"mllib": "xgboost", "parameters": parameters, "model": model}
        client.put("/services/b", json=call).raise_for_status()
        began = time.perf_counter()
        train = {"service": "b", "data": [str(path)]}
        client.post("/train", json=train).raise_for_status()
        measure: dict[str, float] = {}
        while True:
            answer = client.get("/train", params={"service": "b", "job": 1, "timeout": 1}).json()
            if answer["head"]["status"] != "running":
                break
            measure = answer["body"]["measure"]
        took = time.perf_counter() - began
        if answer["head"]["status"] != "finished":
            raise SystemExit(answer)
        client.delete("/services/b").raise_for_status()
        iterations = measure["iter_time"] / 1000 * rounds
        return took, iterations


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def seconds_of(values: list[float]) -> str:
    return f"{values[-1]:.2f} s"


if __name__ == "__main__":
    main()
