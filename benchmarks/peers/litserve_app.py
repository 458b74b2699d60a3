"""LitServe with batching: `python litserve_app.py KIND MODEL PORT`."""

from __future__ import annotations

import sys
from typing import Any

import litserve
import numpy as np
from model import load


class Api(litserve.LitAPI):
    """Calls of any number of rows are joined, and cut apart again."""

    def setup(self, device: str) -> None:
        self.model = load(sys.argv[1], sys.argv[2])

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # it reads annotations
        return self.model.read(request["data"])

    def batch(self, inputs: list[Any]) -> tuple[Any, list[int]]:
        return np.concatenate(inputs), [len(rows) for rows in inputs]

    def predict(self, joined: tuple[Any, list[int]]) -> tuple[Any, list[int]]:
        rows, sizes = joined
        return self.model.predict(rows), sizes

    def unbatch(self, outputs: tuple[Any, list[int]]) -> list[Any]:
        answers, sizes = outputs
        ends = np.cumsum(sizes).tolist()
        return [answers[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        port=int(sys.argv[3]), host="127.0.0.1", log_level="error", generate_client_file=False
    )
