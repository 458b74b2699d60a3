"""What the serving benchmark sends, and the models that answer it."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import xgboost as xgb

from dd_ray.templates.spec import Options, Shape

FEATURES, CLASSES, TREES = 54, 7, 50


@dataclass(frozen=True)
class Load:
    """What is sent: `data` of a call to a model of a kind.

    `longer` is how many times as long it is asked for: of 32 calls at a time that take two seconds,
    those under way when three are over would be most of all.
    """

    name: str
    kind: str
    data: list[str]
    longer: int = 1


def make_models(root: Path) -> dict[str, Path]:
    """Files of the two models; dd-ray's repositories hold the same weights."""
    import torch
    import torchvision

    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, FEATURES)).astype(np.float32)
    params = {"objective": "multi:softprob", "num_class": CLASSES, "nthread": 2}
    matrix = xgb.DMatrix(values, label=rng.integers(0, CLASSES, 5000))
    trees = root / "trees"
    trees.mkdir()
    xgb.train(params, matrix, TREES).save_model(trees / "m.ubj")
    (trees / "0050.model").write_bytes((trees / "m.ubj").read_bytes())
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=CLASSES).train()
    with torch.no_grad():
        network(torch.rand(8, 3, 224, 224))  # so that the normalizations have seen something
    pictures = root / "pictures"
    pictures.mkdir()
    torch.save(network.state_dict(), pictures / "checkpoint-1.npt")
    description = {
        "template": "resnet_18",
        "options": asdict(Options()),
        "shape": asdict(Shape(channels=3, height=224, width=224)),
        "outputs": CLASSES,
        "task": "classification",
    }
    (pictures / "network.json").write_text(json.dumps(description))
    return {"xgb": trees / "m.ubj", "image": pictures / "checkpoint-1.npt"}


def make_loads() -> list[Load]:
    rng = np.random.default_rng(1)
    rows = [",".join(f"{v:.4f}" for v in row) for row in rng.normal(size=(100, FEATURES))]
    small = rng.integers(0, 255, (28, 28, 3), np.uint8)
    picture = cv2.resize(small, (224, 224), interpolation=cv2.INTER_CUBIC)
    encoded = base64.b64encode(cv2.imencode(".jpg", picture)[1].tobytes()).decode()
    return [
        Load("1 row", "xgb", rows[:1]),
        Load("100 rows", "xgb", rows),
        Load("JPEG", "image", [encoded], longer=4),
    ]
