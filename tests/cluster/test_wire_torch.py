"""Networks on a real server: trained in an actor, served by another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.api.client import Client

pytestmark = pytest.mark.ray


def test_a_network_is_trained_served_and_trained_further(wire: Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 180)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(8):
            pixels = np.clip(level + rng.integers(-40, 40, (32, 32, 3)), 0, 255)
            assert cv2.imwrite(str(folder / f"{i}.png"), pixels.astype(np.uint8))
    parameters = {
        "input": {"connector": "image", "scale": 0.0039},
        "mllib": {"template": "cifar", "nclasses": 2, "gpu": True, "seed": 1},
    }
    model = {"repository": str(tmp_path / "m"), "create_repository": True}
    call = {"mllib": "torch", "parameters": parameters, "model": model}
    assert wire.call("PUT", "/services/pictures", call) == (
        201,
        {"status": {"code": 201, "msg": "Created"}},
    )
    code, answer = wire.predict("pictures", str(folder / "0.png"))
    assert (code, answer["status"]["dd_code"]) == (500, 1007)
    solver = {"iterations": 40, "base_lr": 0.01}
    wire.train(
        "pictures",
        str(tmp_path / "pictures"),
        blocking=False,
        input={"test_split": 0.25, "shuffle": True, "seed": 0},
        mllib={"solver": solver, "net": {"batch_size": 8}},
        output={"measure": ["acc"]},
    )
    answer = wire.call("GET", "/train?service=pictures&job=1&timeout=120")[1]
    assert answer["head"]["status"] == "finished", answer
    assert answer["body"]["measure"]["acc"] > 0.9
    code, answer = wire.predict("pictures", str(folder / "0.png"))
    assert (code, answer["body"]["predictions"][0]["classes"][0]["cat"]) == (200, "bright")
