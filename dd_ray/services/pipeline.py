"""A loaded service: connector, predictor and formatter, answering predict calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dd_ray.data import Batch, Output
from dd_ray.errors import ApiError, BadInput
from dd_ray.measures.table import evaluate
from dd_ray.outputs.predictions import predictions
from dd_ray.registry import load
from dd_ray.repository import CONNECTOR_STATE, Repository
from dd_ray.services.definition import Effective, ServiceDefinition, data_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The body of a predict answer and what it cost."""

    body: dict[str, Any]
    rows: int
    transform_ms: float
    params: Effective


class Pipeline:
    """A service's model in memory. `reload` takes the newest model of the repository."""

    def __init__(self, definition: ServiceDefinition) -> None:
        self.definition = definition
        self._connector = load(definition.connector_spec.implementation)
        self._mllib = load(definition.mllib_spec.implementation)
        self._repository = Repository(definition.repository)
        self._effective: dict[str, Effective] = {}
        self._load()

    def _load(self) -> None:
        """Loads what there is; a service without a model says so when it is asked to predict."""
        kept = self._repository.read(CONNECTOR_STATE)
        self._state = self._connector.state.model_validate_json(kept) if kept else None
        self._class_names = self._repository.class_names()
        self._problem: ApiError | None = None
        self._predictor = None
        params = self.definition.effective({}).mllib
        try:
            self._predictor = self._mllib.load(self._repository, params)
        except ApiError as exc:
            self._problem = exc

    def reload(self) -> None:
        """Loads the newest model; requests under way end with the old one."""
        self._load()

    def predict(self, call: Mapping[str, Any]) -> Prediction:
        """Answers a predict call; raises ApiError."""
        params = self.effective(call.get("parameters"))
        data = data_of(call)
        predictor, state, class_names = self._predictor, self._state, self._class_names
        if predictor is None:
            assert self._problem is not None
            raise self._problem
        began = time.perf_counter()
        batch = self._connector.read(
            data,
            params.input,
            state,
            labelled=bool(params.output.measure),
            missing_ok=self.definition.mllib_spec.takes_missing,
        )
        transform_ms = (time.perf_counter() - began) * 1000
        output = predictor.predict(batch, params.mllib)
        body = (
            _measured(batch, output, params, class_names)
            if params.output.measure
            else {
                "predictions": predictions(
                    output, batch.uris, params.output, class_names=class_names
                )
            }
        )
        return Prediction(body=body, rows=len(batch), transform_ms=transform_ms, params=params)

    def effective(self, parameters: Any) -> Effective:
        """The typed parameters of a call, made once for each distinct `parameters`."""
        key = repr(parameters)
        known = self._effective.get(key)
        if known is None:
            known = self.definition.effective(parameters)
            if len(self._effective) >= 256:
                self._effective.clear()
            self._effective[key] = known
        return known


def _measured(
    batch: Batch, output: Output, params: Effective, class_names: list[str]
) -> dict[str, Any]:
    if batch.targets_NT is None:
        raise BadInput("parameters.output.measure needs labelled data")
    measure = evaluate(params.output.measure, output, batch.targets_NT, class_names=class_names)
    return {"measure": measure}
