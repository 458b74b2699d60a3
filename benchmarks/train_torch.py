"""Training networks through the server against plain PyTorch loops, in one run.

    python benchmarks/train_torch.py [--iterations 30] [--repeats 3] [--only mlp]

resnet_18 on JPEG files of 224 x 224 and `mlp [512,512,512] prelu` on a table. The plain loop is
hand-written, has the same network, batch size and solver, and its data in memory, decoded and
normalized; the server reads files. Both begin in a new process, whose first iterations are slow.
Prints examples a second of the iterations, the ratio, and the spread. Repeats alternate, because
the machine's speed changes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import torch
from sklearn.datasets import make_classification
from support import machine, quiet, server
from torch import nn

from dd_ray.templates.build import build
from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.table import TEMPLATES

IMAGES, SIDE, IMAGE_BATCH = 256, 224, 32
ROWS, COLUMNS, ROW_BATCH = 100_000, 54, 512
CLASSES = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="the beginning of one load's name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server() as url:
        root = Path(folder)
        loads = {
            "resnet_18, JPEG 224 x 224, batch 32": images(root, given.iterations),
            "mlp 512-512-512 prelu, 54 columns, batch 512": table(root, given.iterations * 30),
        }
        print("| | plain PyTorch, examples/s | served | ratio | plain spread | served spread |")
        print("|---|--:|--:|--:|---|---|")
        for name, (plain, call) in loads.items():
            if not name.startswith(given.only):
                continue
            pairs = []
            for repeat in range(given.repeats):
                quiet()
                without = plain()
                quiet()
                pairs.append((without, served(url, call, root / f"model-{len(name)}-{repeat}")))
            ours = [b for _, b in pairs]
            theirs = [a for a, _ in pairs]
            ratio = statistics.median(b / a for a, b in pairs)
            print(
                f"| {name} | {statistics.median(theirs):.1f} | {statistics.median(ours):.1f}"
                f" | {ratio:.3f} | {spread(theirs)} | {spread(ours)} |",
                flush=True,
            )
    print(f"\n{machine()}, torch {torch.__version__}")


def images(root: Path, iterations: int) -> tuple[Callable[[], float], dict[str, Any]]:
    """A plain loop over decoded images, and the calls that train on their files."""
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        small = rng.integers(0, 255, (14, 14, 3), np.uint8)
        path = root / "images" / str(i % CLASSES) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(small, (SIDE, SIDE)))
    parameters = {
        "input": {"connector": "image", "width": SIDE, "height": SIDE, "scale": 1 / 255},
        "mllib": {"template": "resnet_18", "nclasses": CLASSES},
    }
    plain = partial(in_a_process, plain_images, root / "images", iterations)
    return plain, call(parameters, root / "images", IMAGE_BATCH, iterations)


def plain_images(folder: Path, iterations: int) -> float:
    paths = [folder / str(i % CLASSES) / f"{i}.jpg" for i in range(IMAGES)]
    pixels = np.stack([cv2.imread(str(path)) for path in paths])
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    targets = torch.arange(IMAGES) % CLASSES
    shape = Shape(channels=3, height=SIDE, width=SIDE)
    network = build(TEMPLATES.find("resnet_18"), shape, CLASSES, Options())
    return plain_loop(network, inputs, targets, IMAGE_BATCH, iterations)


def table(root: Path, iterations: int) -> tuple[Callable[[], float], dict[str, Any]]:
    """A plain loop over rows, and the calls that train on their file."""
    values, labels = rows_and_labels()
    header = ",".join([*(f"c{i}" for i in range(COLUMNS)), "y"])
    path = root / "table.csv"
    rows = np.column_stack([values, labels])
    np.savetxt(path, rows, fmt="%.5g", delimiter=",", header=header, comments="")
    mllib = {"template": "mlp", "nclasses": CLASSES, "layers": [512] * 3, "activation": "prelu"}
    parameters = {"input": {"connector": "csv", "label": "y"}, "mllib": mllib}
    plain = partial(in_a_process, plain_table, iterations)
    return plain, call(parameters, path, ROW_BATCH, iterations)


def plain_table(iterations: int) -> float:
    values, labels = rows_and_labels()
    inputs, targets = torch.from_numpy(values.astype(np.float32)), torch.from_numpy(labels)
    options = Options(layers=("512", "512", "512"), activation="prelu")
    network = build(TEMPLATES.find("mlp"), Shape(features=COLUMNS), CLASSES, options)
    return plain_loop(network, inputs, targets, ROW_BATCH, iterations)


def rows_and_labels() -> tuple[Any, Any]:
    """Values [ROWS, COLUMNS] and classes [ROWS], the same each time."""
    values, labels = make_classification(
        ROWS, COLUMNS, n_informative=20, n_classes=CLASSES, random_state=0
    )
    return values, labels


def in_a_process(work: Callable[..., float], *given: Any) -> float:
    """What `work` returns in a process of its own, as a script that one starts has it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def call(parameters: dict[str, Any], data: Path, batch: int, iterations: int) -> dict[str, Any]:
    solver = {"iterations": iterations, "base_lr": 0.001, "lr_policy": "fixed"}
    return {
        "create": parameters,
        "train": {"solver": solver, "net": {"batch_size": batch}},
        "data": [str(data)],
        "examples": batch * iterations,
    }


def plain_loop(
    network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, batch: int, iterations: int
) -> float:
    """Examples a second of a loop such as one writes."""
    torch.set_num_threads(2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    loss_of = nn.CrossEntropyLoss()
    network.train()
    order = torch.randperm(len(inputs))
    began = time.perf_counter()
    for i in range(iterations):
        chosen = order[torch.arange(i * batch, (i + 1) * batch) % len(inputs)]
        loss = loss_of(network(inputs[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return batch * iterations / (time.perf_counter() - began)


def served(url: str, given: dict[str, Any], repository: Path) -> float:
    """Examples a second of the iterations of a training through the server."""
    with httpx.Client(base_url=url, timeout=3600) as client:
        model = {"repository": str(repository), "create_repository": True}
        create = {"mllib": "torch", "parameters": given["create"], "model": model}
        client.put("/services/b", json=create).raise_for_status()
        train = {"service": "b", "parameters": {"mllib": given["train"]}, "data": given["data"]}
        client.post("/train", json=train).raise_for_status()
        measure: dict[str, float] = {}
        while True:
            answer = client.get("/train", params={"service": "b", "job": 1, "timeout": 1}).json()
            if answer["head"]["status"] != "running":
                break
            measure = answer["body"]["measure"] or measure
        if answer["head"]["status"] != "finished":
            raise SystemExit(answer)
        client.delete("/services/b").raise_for_status()
    each_s = measure["iter_time"] / 1000  # the mean over the iterations that were seen
    return given["train"]["net"]["batch_size"] / each_s


def spread(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


if __name__ == "__main__":
    main()
