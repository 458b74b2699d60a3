"""GET /openapi.json and /docs: the API described out of the tables and parameter models."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import WithDefaultSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dd_ray import __version__
from dd_ray.connectors.spec import ConnectorSpec
from dd_ray.connectors.table import CONNECTORS
from dd_ray.mllibs.spec import MLLibSpec
from dd_ray.mllibs.table import MLLIBS
from dd_ray.outputs.params import OutputParams
from dd_ray.services.answer import dumps
from dd_ray.services.definition import ModelParams
from dd_ray.services.names import MAX_NAME

_REF = "#/components/schemas/{model}"
_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_ANY_TYPE = "Bodies are read as JSON whatever their Content-Type says."


def docs_routes() -> list[Route]:
    """The routes of the documentation."""
    return [Route("/openapi.json", _openapi), Route("/docs", _page)]


async def _openapi(request: Request) -> Response:
    return Response(_document(), media_type="application/json")


async def _page(request: Request) -> Response:
    # relative, because a proxy may have put the API under a prefix
    return get_swagger_ui_html(openapi_url="./openapi.json", title="dd-ray")


@cache
def _document() -> bytes:
    return dumps(openapi(CONNECTORS, MLLIBS))


def openapi(connectors: Iterable[ConnectorSpec], mllibs: Iterable[MLLibSpec]) -> dict[str, Any]:
    """The OpenAPI 3.1 document; loads no mllib and no connector."""
    connectors, mllibs = list(connectors), list(mllibs)
    models: list[type[BaseModel]] = [spec.params for spec in connectors]
    models += [spec.params for spec in mllibs]
    models += [OutputParams, ModelParams]
    refs, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        ref_template=_REF,
        schema_generator=_WithEveryDefault,
    )
    schemas = definitions.get("$defs", {}) | _calls(connectors, mllibs, refs) | _answers()
    for spec in connectors:
        name = refs[(spec.params, "validation")]["$ref"].rpartition("/")[2]
        schemas[name]["properties"]["connector"] = {
            "const": spec.name,
            "description": spec.description,
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dd-ray",
            "version": __version__,
            "description": f"The DeepDetect API on a Ray cluster. {_ANY_TYPE}",
        },
        "paths": _paths(),
        "components": {"schemas": schemas},
    }


class _WithEveryDefault(GenerateJsonSchema):
    """Shows the defaults that pydantic makes anew for each model too: lists and objects."""

    def get_default_value(self, schema: WithDefaultSchema) -> Any:
        if "default_factory" in schema and not schema.get("default_factory_takes_data"):
            return schema["default_factory"]()  # type: ignore[call-arg]  # takes no data
        return super().get_default_value(schema)


def _calls(connectors: list[ConnectorSpec], mllibs: list[MLLibSpec], refs: Any) -> dict[str, Any]:
    """The bodies of the three calls."""

    def ref(model: type[BaseModel]) -> Any:
        return refs[(model, "validation")]

    inputs = {"anyOf": [ref(spec.params) for spec in connectors]}
    parts = {
        "input": inputs,
        "mllib": {"anyOf": [ref(spec.params) for spec in mllibs]},
        "output": ref(OutputParams),
    }
    with_connector = parts | {"input": inputs | {"required": ["connector"]}}
    target = {
        "service": _NAME | {"description": "Name of the service"},
        "data": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Paths, URLs or contents; of a training the first is the training set,"
            " the others are test sets",
        },
        "parameters": {"$ref": _REF.format(model="Parameters")},
    }
    return {
        "Parameters": {"type": "object", "properties": parts},
        "CreateCall": {
            "type": "object",
            "required": ["mllib", "model", "parameters"],
            "properties": {
                "mllib": {"enum": [spec.name for spec in mllibs]},
                "description": {"type": "string", "default": ""},
                "type": {"type": "string", "default": "supervised"},
                "model": ref(ModelParams),
                "parameters": {
                    "type": "object",
                    "required": ["input"],
                    "properties": with_connector,
                },
            },
        },
        "TrainCall": {
            "type": "object",
            "required": ["service", "data"],
            "properties": {
                **target,
                "async": {
                    "type": "boolean",
                    "default": True,
                    "description": "Whether to answer at once with a job instead of the result",
                },
            },
        },
        "PredictCall": {"type": "object", "required": ["service", "data"], "properties": target},
    }


def _answers() -> dict[str, Any]:
    """The envelope, around what was asked for or around an error."""
    ok = {
        "code": {"type": "integer", "description": "The HTTP status"},
        "msg": {"type": "string"},
    }
    failed = ok | {
        "dd_code": {"type": "integer", "description": "DeepDetect's error code"},
        "dd_msg": {"type": "string", "description": "What was wrong"},
    }
    status = {"type": "object", "required": ["code", "msg"]}
    return {
        "Answer": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": status,
                "head": {"type": "object"},
                "body": {"type": "object"},
            },
        },
        "Error": {
            "type": "object",
            "required": ["status"],
            "properties": {"status": status | {"properties": failed}, "head": {"type": "object"}},
        },
    }


def _paths() -> dict[str, Any]:
    name = _parameter("name", _NAME, "Name of the service", "path")
    service = _parameter("service", _NAME, "Name of the service", required=True)
    job = _parameter("job", {"type": "integer"}, "Number of the job", required=True)
    return {
        "/info": {
            "get": _operation(
                "General information on the server and its services",
                _parameter("status", _flag(), "Whether to tell all about each service"),
            )
        },
        "/services/{name}": {
            "parameters": [name],
            "put": _operation("Create a service", body="CreateCall", code="201"),
            "post": _operation("Create a service", body="CreateCall", code="201"),
            "get": _operation("Information on a service"),
            "delete": _operation(
                "Delete a service",
                _parameter(
                    "clear",
                    {"enum": ["mem", "lib", "full", "dir", "index"], "default": "mem"},
                    "What to delete with it: mem nothing, lib the model files, full all files of"
                    " the repository, dir the repository too, index the similarity index",
                ),
            ),
        },
        "/train": {
            "put": _operation("Train a service", body="TrainCall", code="201"),
            "post": _operation("Train a service", body="TrainCall", code="201"),
            "get": _operation(
                "Status of a training job; its final report is given once",
                service,
                job,
                _parameter(
                    "timeout",
                    {"type": "number", "default": 0},
                    "Seconds to wait for the end of the job",
                ),
                _parameter(
                    "parameters.output.measure_hist", _flag(), "Whether to give the history"
                ),
                _parameter(
                    "parameters.output.max_hist_points",
                    {"type": "integer", "default": 10000},
                    "Most points of a measure's history; gives the history too",
                ),
            ),
            "delete": _operation("Stop a training job", service, job),
        },
        "/predict": {"post": _operation("Predict", body="PredictCall")},
        "/jobs": {
            "get": _operation(
                "All jobs, the newest first, also those whose report was given; extension",
                _parameter("service", {"type": "string"}, "Name of a service; of all without it"),
                _parameter(
                    "max", {"type": "integer", "minimum": 1, "default": 100}, "Most jobs to list"
                ),
            )
        },
        "/metrics": {"get": _text("What the server measures, for Prometheus; extension")},
        "/healthz": {"get": _operation("Whether the server answers; extension, asks for no key")},
        "/readyz": {
            "get": _operation(
                "Whether the server is ready and how many services are; extension, asks for no key."
                " 503 with `body.missing` while it is not"
            )
        },
    }


def _flag() -> dict[str, Any]:
    return {"type": "boolean", "default": False}


def _parameter(
    name: str,
    schema: dict[str, Any],
    description: str,
    where: str = "query",
    *,
    required: bool = False,
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": required or where == "path",
        "description": description,
        "schema": schema,
    }


def _operation(
    summary: str, *parameters: dict[str, Any], body: str | None = None, code: str = "200"
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            code: {"description": "Done", "content": _json("Answer")},
            "default": {"description": "An error", "content": _json("Error")},
        },
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "description": _ANY_TYPE,
            "content": _json(body),
        }
    return operation


def _text(summary: str) -> dict[str, Any]:
    """An operation that answers with text."""
    operation = _operation(summary)
    operation["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return operation


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}
