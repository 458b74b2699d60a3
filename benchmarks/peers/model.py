"""The models of the serving benchmark, loaded the way a careful user would, one thread each.

Imports nothing of dd-ray: peers run in an environment of their own.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

Answer = list[dict[str, Any]]


class Xgb:
    """XGBoost on rows of CSV text."""

    def __init__(self, path: str) -> None:
        import xgboost as xgb

        self._booster = xgb.Booster({"nthread": 1})
        self._booster.load_model(bytearray(Path(path).read_bytes()))

    def read(self, texts: list[str]) -> Any:
        return np.array([list(map(float, text.split(","))) for text in texts], dtype=np.float32)

    def predict(self, rows: Any) -> Answer:
        probs = self._booster.inplace_predict(rows, validate_features=False)
        best = probs.argmax(axis=1).tolist()
        return [{"cat": str(c), "prob": float(probs[i, c])} for i, c in enumerate(best)]


class Image:
    """ResNet-18 on base64 JPEG of 224 x 224."""

    def __init__(self, path: str) -> None:
        import torch
        import torchvision

        torch.set_num_threads(1)
        weights = torch.load(path, weights_only=True)
        outputs = weights["fc.bias"].shape[0]
        self._network = torchvision.models.resnet18(weights=None, num_classes=outputs).eval()
        self._network.load_state_dict(weights)
        self._torch = torch

    def read(self, texts: list[str]) -> Any:
        import cv2

        images = []
        for text in texts:
            pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1)
            pixels = cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_CUBIC)
            images.append(pixels.astype(np.float32) * np.float32(1 / 255))
        return np.stack(images).transpose(0, 3, 1, 2)

    def predict(self, images: Any) -> Answer:
        torch = self._torch
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(np.ascontiguousarray(images)))
            probs = logits.softmax(dim=1).numpy()
        best = probs.argmax(axis=1).tolist()
        return [{"cat": str(c), "prob": float(probs[i, c])} for i, c in enumerate(best)]


def load(kind: str, path: str) -> Any:
    """The model of a load: `xgb` or `image`."""
    return {"xgb": Xgb, "image": Image}[kind](path)
