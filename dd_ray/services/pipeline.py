"""A loaded service: connector, predictor and formatter, answering predict calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dd_ray.data import Batch, Output
from dd_ray.errors import ApiError, BadInput, LibraryError
from dd_ray.measures.evaluate import evaluate
from dd_ray.mllibs.spec import Predictor
from dd_ray.outputs.predictions import predictions
from dd_ray.registry import load
from dd_ray.repository import CONNECTOR_STATE, Repository
from dd_ray.services.definition import Effective, ServiceDefinition, data_of

logger = logging.getLogger(__name__)

_KNOWN_PARAMETERS = 256
"""Distinct `parameters` of calls whose typed form is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The body of a predict answer and what it cost."""

    body: dict[str, Any]
    rows: int
    transform_ms: float
    params: Effective


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """All that belongs to one training: it is replaced as a whole."""

    predictor: Predictor | None
    problem: ApiError | None
    """Why there is no predictor."""
    state: Any
    class_names: list[str]
    learned: Mapping[str, Any]
    effective: dict[str, Effective] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A call whose data has been read, with the model that shall answer it."""

    params: Effective
    batch: Batch
    transform_ms: float
    predictor: Predictor
    class_names: list[str]

    def joins(self, other: Prepared) -> bool:
        """Whether both may be one batch: the same model, asked in the same way."""
        return self.params is other.params and self.predictor is other.predictor


class Pipeline:
    """A service's model in memory. `reload` takes the newest model of the repository."""

    def __init__(self, definition: ServiceDefinition) -> None:
        self.definition = definition
        self._connector = load(definition.connector_spec.implementation)
        self._mllib = load(definition.mllib_spec.implementation)
        self._repository: Repository | None = None
        self._model = self._load()

    def _load(self) -> _Model:
        """All of it or none: a service without a model says why when it is asked to predict."""
        try:
            return self._loaded()
        except ApiError as exc:
            problem = exc
        except Exception as exc:  # files of any content are read by libraries of any kind
            logger.warning("the model of %s", self.definition.name, exc_info=exc)
            problem = LibraryError(f"the model cannot be loaded: {type(exc).__name__}: {exc}")
        return _Model(predictor=None, problem=problem, state=None, class_names=[], learned={})

    def _loaded(self) -> _Model:
        repository = self._repository = self._repository or Repository(self.definition.repository)
        repository.fetch()
        with repository.named():
            return self._loaded_from(repository)

    def _loaded_from(self, repository: Repository) -> _Model:
        state = self._state(repository)
        params = self.definition.effective({}).mllib
        inner_layers = self.definition.type == "unsupervised"
        return _Model(
            predictor=self._mllib.load(repository, params, inner_layers=inner_layers),
            problem=None,
            state=state,
            class_names=repository.class_names(),
            learned=state.call_defaults() if state else {},
        )

    def _state(self, repository: Repository) -> Any:
        """What the connector has learned with the model; None without."""
        kept = repository.read(CONNECTOR_STATE)
        if not kept:
            return None
        try:
            return self._connector.state.model_validate_json(kept)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise LibraryError(
                f"{CONNECTOR_STATE} in the repository is not what a training wrote:"
                f" {': '.join(part for part in (where, first['msg']) if part)}"
            ) from exc

    @property
    def problem(self) -> str:
        """Why there is no model; empty when there is one."""
        return "" if self._model.problem is None else self._model.problem.dd_msg

    def reload(self) -> None:
        """Loads the newest model; requests under way end with the old one."""
        self._model = self._load()

    def quick(self, call: Mapping[str, Any]) -> bool:
        """Whether `prepare` of this call takes microseconds, and need not be done in a thread."""
        data = call.get("data")
        texts = isinstance(data, list) and bool(data) and all(isinstance(x, str) for x in data)
        return texts and self._connector.quick(data)

    def prepare(self, call: Mapping[str, Any]) -> Prepared:
        """Reads a call's data; raises ApiError."""
        model = self._model
        params = self._effective(model, call.get("parameters"))
        data = data_of(call)
        if model.predictor is None:
            assert model.problem is not None
            raise model.problem
        params.mllib.check_predict(type=self.definition.type)
        began = time.perf_counter()
        batch = self._connector.read(
            data,
            params.input,
            model.state,
            labelled=bool(params.output.measure),
            missing_ok=self.definition.mllib_spec.takes_missing,
        )
        return Prepared(
            params=params,
            batch=batch,
            transform_ms=(time.perf_counter() - began) * 1000,
            predictor=model.predictor,
            class_names=model.class_names,
        )

    def answer(self, prepared: Prepared, output: Output) -> Prediction:
        """What the API answers with an output; raises ApiError."""
        if prepared.params.output.measure:
            body = _measured(prepared, output)
        else:
            items = predictions(
                output,
                prepared.batch.uris,
                prepared.params.output,
                class_names=prepared.class_names,
            )
            body = {"predictions": items}
        return Prediction(
            body=body,
            rows=len(prepared.batch),
            transform_ms=prepared.transform_ms,
            params=prepared.params,
        )

    def _effective(self, model: _Model, parameters: Any) -> Effective:
        """The typed parameters of a call, made once for each distinct `parameters`."""
        key = repr(parameters)
        known = model.effective.get(key)
        if known is None:
            known = self.definition.effective(parameters, learned=model.learned)
            if len(model.effective) >= _KNOWN_PARAMETERS:
                model.effective.clear()
            model.effective[key] = known
        return known


def _measured(prepared: Prepared, output: Output) -> dict[str, Any]:
    if prepared.batch.targets_NT is None:
        raise BadInput("parameters.output.measure needs labelled data")
    measure = evaluate(
        prepared.params.output.measure,
        output,
        prepared.batch.targets_NT,
        class_names=prepared.class_names,
    )
    return {"measure": measure}
