"""The API's description."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dd_ray.api.docs import openapi
from dd_ray.connectors.table import CONNECTORS
from dd_ray.mllibs.table import MLLIBS
from dd_ray.outputs.params import OutputParams
from tests.api.client import Client

DOCUMENT = openapi(CONNECTORS, MLLIBS)
SCHEMAS = DOCUMENT["components"]["schemas"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def allows(schema: dict[str, Any], value: Any) -> bool:
    components = {"components": DOCUMENT["components"]}
    return bool(Draft202012Validator(schema | components).is_valid(value))


def test_every_schema_is_one() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    for parameter in parameters(DOCUMENT["paths"]):
        Draft202012Validator.check_schema(parameter["schema"])


def parameters(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in paths.values():
        yield from resource.get("parameters", [])
        for operation in resource.values():
            if isinstance(operation, dict):
                yield from operation["parameters"]


def test_every_parameter_of_a_path_is_described() -> None:
    for path, resource in DOCUMENT["paths"].items():
        named = {item["name"] for item in resource.get("parameters", []) if item["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
    assert all(parameter["description"] for parameter in parameters(DOCUMENT["paths"]))


def test_every_operation_has_an_answer_and_an_error() -> None:
    for resource in DOCUMENT["paths"].values():
        for method in {"get", "put", "post", "delete"} & resource.keys():
            responses = resource[method]["responses"]
            assert "default" in responses
            assert {"200", "201"} & responses.keys()
            assert ("requestBody" in resource[method]) == (method in ("put", "post"))


CREATE = {
    "mllib": "xgboost",
    "description": "example classification service",
    "type": "supervised",
    "parameters": {"input": {"connector": "csv"}, "mllib": {"nclasses": 9}},
    "model": {"repository": "/home/me/models/example"},
}


def test_the_calls_of_clients_follow_it() -> None:
    create = {"$ref": "#/components/schemas/CreateCall"}
    assert allows(create, CREATE)
    foreign = {"gpu": True, "gpuid": [0], "engine": "x", "solver": {"iterations": 3}}
    train = {"service": "s", "async": False, "parameters": {"mllib": foreign}, "data": ["x.csv"]}
    assert allows({"$ref": "#/components/schemas/TrainCall"}, train)
    predict = {"service": "s", "parameters": {}, "data": ["1,2"], "index_uris": []}
    assert allows({"$ref": "#/components/schemas/PredictCall"}, predict)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mllib": "chainer"},
        {"model": "/m"},
        {"parameters": {}},
        {"parameters": {"input": {}}},
        {"parameters": {"input": {"connector": "zip"}}},
        {"parameters": {"input": {"connector": "csv", "separator": ",,"}}},
        {"parameters": {"input": {"connector": "csv"}, "output": {"best": "all"}}},
    ],
)
def test_a_wrong_creation_does_not(wrong: dict[str, Any]) -> None:
    assert not allows({"$ref": "#/components/schemas/CreateCall"}, CREATE | wrong)


def test_answers_follow_it(trained: Client) -> None:
    for method, path, schema in (
        ("GET", "/info?status=1", "Answer"),
        ("GET", "/services/flowers", "Answer"),
        ("GET", "/services/none", "Error"),
        ("GET", "/none", "Error"),
        ("GET", "/train?service=flowers&job=1", "Error"),
        ("PUT", "/services/flowers", "Error"),
        ("POST", "/predict", "Error"),
    ):
        assert allows(SCHEMAS[schema], trained.call(method, path)[1])


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert found
    assert {ref.removeprefix("#/components/schemas/") for ref in found} <= set(SCHEMAS)


MODELS = [spec.params for spec in CONNECTORS] + [spec.params for spec in MLLIBS] + [OutputParams]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_parameter_has_type_default_and_description(model: Any) -> None:
    properties = SCHEMAS[model.__name__]["properties"]
    for name, field in model.model_fields.items():
        described = properties[field.alias or name]
        assert described["description"], name
        assert {"type", "anyOf", "enum", "$ref", "const"} & described.keys(), name
        assert "default" in described, name
        assert allows(described, described["default"]), name


def test_the_routes_serve_it(client: Client) -> None:
    code, document = client.call("GET", "/openapi.json")
    assert code == 200
    assert document == json.loads(json.dumps(DOCUMENT))
    page = client.http.request("GET", "/docs")
    assert "/openapi.json" in page.text


def test_it_is_made_without_a_heavy_library() -> None:
    code = (
        "import sys\n"
        "from dd_ray.api.app import build\n"
        "from dd_ray.api.docs import _document\n"
        "_document()\n"
        "heavy = {'torch', 'xgboost', 'pyarrow', 'pandas', 'scipy', 'ray', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("value", ["y", ["y", "z"]])
def test_names_are_one_text_or_several(value: Any) -> None:
    assert allows({"$ref": "#/components/schemas/CsvParams"}, {"label": value, "ignore": value})
    assert not allows({"$ref": "#/components/schemas/CsvParams"}, {"label": 3})
