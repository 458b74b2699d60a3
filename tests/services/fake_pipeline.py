"""A pipeline of a few lines: it doubles numbers, and a test decides when its model is done."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from dd_ray.data import Batch, Output, TableBatch, Values
from dd_ray.errors import ApiError, BadInput
from dd_ray.outputs.params import OutputParams
from dd_ray.services.pipeline import Prediction, Prepared


class FakePipeline:
    """`data` are numbers as text; "bad" cannot be read, 13 fails whatever it is joined with.

    `hold` makes the model wait until it is let go.
    """

    def __init__(self, *, quick: bool = True) -> None:
        self.definition = SimpleNamespace(name="s")
        self.batches: list[list[float]] = []
        self.held = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._quick = quick
        self.most: int | None = None
        self._params: dict[str, Any] = {}

    def quick(self, call: Any) -> bool:
        return self._quick

    def prepare(self, call: Any) -> Prepared:
        if "bad" in call["data"]:
            raise BadInput("bad")
        kind = str(call.get("parameters"))
        params = self._params.setdefault(kind, SimpleNamespace(mllib=kind, output=OutputParams()))
        rows = np.array([[float(text)] for text in call["data"]], np.float32)
        uris = [str(i) for i in range(len(rows))]
        batch = TableBatch(values_NF=rows, names=("x",), uris=uris)
        return Prepared(
            params=params, batch=batch, transform_ms=0.0, predictor=self, class_names=[]
        )

    def predict(self, batch: Batch, params: Any) -> Output:
        assert isinstance(batch, TableBatch)
        self.held.set()
        assert self.go.wait(10)
        values = batch.values_NF[:, 0].tolist()
        self.batches.append(values)
        if 13 in values:
            raise ApiError("thirteen")
        return Values(values_ND=batch.values_NF * 2)

    def at_once(self, params: Any) -> int | None:
        return self.most

    def close(self) -> None:
        return None

    def answer(self, prepared: Prepared, output: Output) -> Prediction:
        assert isinstance(output, Values)
        body = {"predictions": output.values_ND[:, 0].tolist()}
        return Prediction(body=body, rows=len(output), transform_ms=0.0, params=prepared.params)
