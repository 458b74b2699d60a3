"""From nothing to predictions: a server, a service, a training, answers. Run by `make demo`.

Trains gradient boosted trees on scikit-learn's wine data (178 wines, 13 measurements, 3 growers)
through the REST API and prints each call as the curl line that does the same.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, server() as url:
        path = write_wine(Path(folder) / "wine.csv")
        show = Shell(url)
        show("GET", "/info")
        show(
            "PUT",
            "/services/wine",
            {
                "mllib": "xgboost",
                "description": "who grew this wine",
                "type": "supervised",
                "parameters": {
                    "input": {"connector": "csv", "label": "grower", "id": "wine"},
                    "mllib": {"nclasses": 3},
                },
                "model": {"repository": f"{folder}/model", "create_repository": True},
            },
        )
        show(
            "POST",
            "/train",
            {
                "service": "wine",
                "async": True,
                "parameters": {
                    "input": {"shuffle": True, "seed": 1, "test_split": 0.25},
                    "mllib": {"iterations": 50, "booster_params": {"max_depth": 3}},
                    "output": {"measure": ["acc", "f1", "mcll", "cmdiag"]},
                },
                "data": [str(path)],
            },
        )
        report = show("GET", "/train?service=wine&job=1&timeout=60")
        table(report["body"]["measure"])
        header, *rows = path.read_text().splitlines()
        chosen = [rows[0], rows[80], rows[-1]]
        answer = show(
            "POST",
            "/predict",
            {
                "service": "wine",
                "parameters": {"output": {"best": 2}},
                "data": [header, *chosen],
            },
        )
        print("\nthree wines, who grew them, and who the model says it was:")
        for row, prediction in zip(chosen, answer["body"]["predictions"], strict=True):
            best = prediction["classes"][0]
            truth = row.rpartition(",")[2]
            print(f"  {prediction['uri']:>9}  {truth:>8}  {best['cat']:>8} ({best['prob']:.3f})")
        show("DELETE", "/services/wine?clear=full")


class Shell:
    """Sends calls and prints them as curl lines with their answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        data = "" if body is None else f" -d '{json.dumps(body)}'"
        print(f"\n$ curl -X {method} '{self._url}{path}'{data}")
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as refusal:
            raise SystemExit(f"{refusal}: {refusal.read().decode()}") from refusal
        print(text if len(text) < 1500 else text[:1500] + " ...")
        return json.loads(text)


def table(measure: dict[str, Any]) -> None:
    """The measures of the test split, and how many of each class were found."""
    print("\nmeasures on the quarter of the wines that was held back:")
    for name in ("acc", "f1", "precision", "recall", "mcll"):
        print(f"  {name:>10}  {measure[name]:.4f}")
    for label, share in zip(measure["labels"], measure["cmdiag"], strict=True):
        print(f"  {label:>10}  {share:.4f} found")


def write_wine(path: Path) -> Path:
    """scikit-learn's wine data as a CSV file with an identifier and a label of text."""
    data = load_wine()
    columns = [name.replace("/", " per ") for name in data.feature_names]
    lines = [",".join(["wine", *columns, "grower"])]
    for i, (row, target) in enumerate(zip(data.data, data.target, strict=True)):
        lines.append(",".join([f"wine-{i}", *map(str, row), f"grower-{'ABC'[target]}"]))
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that lives as long as the block."""
    with tempfile.TemporaryDirectory() as home:  # its own, where no other services are kept
        yield from run_server(os.environ | {"DD_RAY_HOME": home})


def run_server(env: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dd_ray.cli", "serve", "--ray-address", "local"]
    command += ["--port", str(port)]
    print("$ dd-ray serve --port", port, flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            if "listens on" in line:
                break
        else:
            raise SystemExit("the server did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        for line in process.stdout:
            print(line, end="")
        process.wait(60)


if __name__ == "__main__":
    main()
