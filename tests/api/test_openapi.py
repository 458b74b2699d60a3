"""The API's description."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

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
        assert "default" in described or field.default_factory is not None, name


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
