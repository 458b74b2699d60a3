"""BentoML: `python bentoml_app.py KIND MODEL PORT`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import bentoml
from model import load


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 10_000})
class Served:
    """One worker, without a batcher: its batcher waits, which costs more than it gains here."""

    def __init__(self) -> None:
        self.model = load(os.environ["KIND"], os.environ["MODEL"])

    @bentoml.api(route="/predict")
    def predict(self, data: list[str]) -> dict[str, Any]:
        return {"predictions": self.model.predict(self.model.read(data))}


if __name__ == "__main__":
    kind, model, port = sys.argv[1:4]
    folder = os.path.dirname(os.path.abspath(__file__))
    env = os.environ | {"KIND": kind, "MODEL": model, "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "serve", "bentoml_app:Served", "--port", port]
    command += ["--host", "127.0.0.1"]
    raise SystemExit(subprocess.call(command, cwd=folder, env=env))
