"""Peak memory of a training on a large CSV file with and without `db: true`.

    python benchmarks/csv_memory.py [--megabytes 1000]

Writes such a file, trains 10 rounds on it in a process of its own for each way, and prints the
peak resident memory of that process next to the file's size.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

FEATURES = 54
CHUNK = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--train", nargs=2, metavar=("FILE", "DB"), help="one training, internal")
    given = parser.parse_args()
    if given.train:
        train(given.train[0], given.train[1] == "True")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "large.csv", given.megabytes * 10**6)
        size = path.stat().st_size
        print(f"file: {size / 1e6:,.0f} MB\n")
        print("| db | peak memory MB | of the file | seconds |")
        print("|---|--:|--:|--:|")
        for db in (True, False):
            began = time.perf_counter()
            command = [sys.executable, __file__, "--train", str(path), str(db)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"| {str(db).lower()} | failed: {done.stderr.strip()[-200:]} | | |")
                continue
            peak = int(done.stdout.split()[-1]) * 1024
            took = time.perf_counter() - began
            print(f"| {str(db).lower()} | {peak / 1e6:,.0f} | {peak / size:.2f} | {took:.0f} |")


def write(path: Path, size: int) -> Path:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(FEATURES)]
    with path.open("wb") as file:
        options = pa.csv.WriteOptions(include_header=True)
        while file.tell() < size:
            values = rng.normal(size=(CHUNK, FEATURES)).round(4)
            columns = dict(zip(names, values.T, strict=True))
            columns["y"] = (values[:, 0] + values[:, 1] > 0).astype(int)
            pa.csv.write_csv(pa.table(columns), file, options)
            options = pa.csv.WriteOptions(include_header=False)
    return path


def train(path: str, db: bool) -> None:
    from dd_ray.services import training
    from dd_ray.services.definition import define

    with tempfile.TemporaryDirectory() as repository:
        call = {
            "mllib": "xgboost",
            "parameters": {
                "input": {"connector": "csv", "label": "y", "db": db},
                "mllib": {"nclasses": 2, "iterations": 10},
            },
            "model": {"repository": repository},
        }
        definition, _ = define("large", call)
        training.train(
            definition, {"data": [path]}, report=lambda point: None, stopped=lambda: False
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
