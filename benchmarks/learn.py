"""What networks learn through the server, on data that scikit-learn ships or makes.

    python benchmarks/learn.py [--only NAME ...]

scikit-learn's digits as folders of 8-bit PNG files, a table shaped like forest cover (7 classes, 54
columns), and its diabetes data as a regression. Prints the measures on the part of the data that
was held back, and for the regression what predicting the mean would give.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits, make_classification
from support import machine, server


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A service, its training, and the measure that says how well it learned."""

    name: str
    mllib: str
    connector: str
    data: str
    input: dict[str, Any]
    network: dict[str, Any]
    training: dict[str, Any]
    measures: tuple[str, ...]
    split: float = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as folder, server() as url:
        print("| | measures on what was held back | seconds |")
        print("|---|---|--:|")
        for lesson in lessons(Path(folder)):
            if only and not any(word in lesson.name for word in only):
                continue
            began = time.monotonic()
            found = learned(url, lesson, f"{folder}/model")
            shown = ", ".join(f"{name} {found[name]:.4f}" for name in lesson.measures)
            print(f"| {lesson.name} | {shown} | {time.monotonic() - began:.0f} |", flush=True)
    print(f"\n{machine()}")


def lessons(root: Path) -> list[Lesson]:
    digits = write_digits(root / "digits")
    values, classes = make_classification(
        15_120,
        54,
        n_informative=20,
        n_redundant=10,
        n_classes=7,
        n_clusters_per_class=2,
        class_sep=1.5,
        random_state=0,
    )
    cover = write_table(root / "cover.csv", values, classes + 1)
    diabetes = load_diabetes()
    patients = write_table(root / "diabetes.csv", diabetes.data * 100, diabetes.target)
    adam = {"solver_type": "ADAM", "base_lr": 0.001}
    pictures = {"width": 32, "height": 32, "scale": 1 / 255}
    table = {"label": "y", "id": "id", "scale": True}
    return [
        Lesson(
            name="digits, convnet",
            mllib="torch",
            connector="image",
            data=digits,
            input=pictures | {"bw": True},
            network={"template": "convnet", "layers": ["1CR32", "1CR64", "128"], "nclasses": 10},
            training={"solver": adam | {"iterations": 400}, "net": {"batch_size": 32}},
            measures=("acc", "f1"),
        ),
        Lesson(
            name="digits, resnet_18",
            mllib="torch",
            connector="image",
            data=digits,
            input=pictures | {"mean": [0.3], "std": [0.3]},
            network={"template": "resnet_18", "nclasses": 10},
            training={"solver": adam | {"iterations": 400}, "net": {"batch_size": 32}},
            measures=("acc", "f1"),
        ),
        Lesson(
            name="forest-cover-like table, mlp [512, 512, 512] prelu",
            mllib="caffe",
            connector="csv",
            data=cover,
            input=table | {"label_offset": -1},
            network={
                "template": "mlp",
                "layers": [512, 512, 512],
                "activation": "prelu",
                "nclasses": 7,
            },
            training={"solver": {"iterations": 1000, "base_lr": 0.05}, "net": {"batch_size": 512}},
            measures=("f1", "acc"),
            split=0.1,
        ),
        Lesson(
            name="diabetes, mlp regression (r2 is the share of the mean predictor's squared error"
            " that is gone)",
            mllib="torch",
            connector="csv",
            data=patients,
            input=table,
            network={"template": "mlp", "layers": [64, 64], "ntargets": 1, "regression": True},
            training={"solver": adam | {"iterations": 800}, "net": {"batch_size": 64}},
            measures=("r2", "eucll"),
        ),
    ]


def learned(url: str, lesson: Lesson, repository: str) -> dict[str, Any]:
    """The measures of the model that a lesson ends with."""
    creation = {
        "mllib": lesson.mllib,
        "parameters": {
            "input": {"connector": lesson.connector} | lesson.input,
            "mllib": lesson.network,
        },
        "model": {"repository": repository, "create_repository": True},
    }
    training = {
        "service": "pupil",
        "async": False,
        "data": [lesson.data],
        "parameters": {
            "input": {"test_split": lesson.split, "shuffle": True, "seed": 1},
            "mllib": lesson.training,
            "output": {"measure": list(lesson.measures)},
        },
    }
    with httpx.Client(base_url=url, timeout=3600) as client:
        client.put("/services/pupil", json=creation).raise_for_status()
        answer = client.post("/train", json=training).raise_for_status().json()
        client.delete("/services/pupil?clear=full").raise_for_status()
    measures: dict[str, Any] = answer["body"]["measure"]
    return measures


def write_digits(root: Path) -> str:
    digits = load_digits()
    for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), (image * 15.9).clip(0, 255).astype(np.uint8))
    return str(root)


def write_table(path: Path, values: NDArray[np.float64], targets: NDArray[Any]) -> str:
    lines = [",".join(["id", *(f"c{i}" for i in range(values.shape[1])), "y"])]
    for number, (row, target) in enumerate(zip(values, targets, strict=True)):
        lines.append(",".join([str(number), *(f"{value:.5g}" for value in row), str(target)]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


if __name__ == "__main__":
    main()
