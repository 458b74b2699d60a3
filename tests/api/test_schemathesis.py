"""Calls that schemathesis makes up out of our own OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from dd_ray.api.app import build
from dd_ray.services.local import local_server
from tests.api.client import AsgiHttp, Client
from tests.api.fake_server import FakeServer

CHECKS = (content_type_conformance, response_schema_conformance)


def operations() -> dict[str, Any]:
    """The operations by `METHOD path`."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", build(FakeServer()))
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


OPERATIONS = operations()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory and the only root: calls name repositories."""
    from dd_ray.settings import settings as current

    folder = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DD_RAY_ROOTS", str(folder))
        current.cache_clear()
        yield folder
    current.cache_clear()


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[AsgiHttp]:
    """A client of a server with a trained service `flowers`."""
    http = AsgiHttp(build(local_server()))
    client = Client(http)
    client.create("flowers", str(folder / "m"), mllib={"nclasses": 2})
    client.train("flowers", "a,y\n1,0\n2,1", input={"label": "y"}, mllib={"iterations": 2})
    yield http
    http.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_fails_without_a_code_or_answers_otherwise_than_it_says(
    name: str, app: AsgiHttp
) -> None:
    operation = OPERATIONS[name]

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known:
            _call_flowers(case)
        request = case.as_transport_kwargs(base_url="http://test")
        answer = app.request(
            request["method"],
            request["url"],
            params=request.get("params"),
            json=request.get("json"),
        )
        if answer.status_code >= 500:
            status = answer.json()["status"]
            assert status["dd_code"] == 1007, answer.text
        case.validate_response(answer, checks=list(CHECKS))

    ask()


def _call_flowers(case: Any) -> None:
    """Makes a call one to the service that there is, which gets further."""
    if isinstance(case.body, dict) and "service" in case.body:
        case.body["service"] = "flowers"
    if "service" in (case.query or {}):
        case.query["service"] = "flowers"


def test_all_operations_are_there() -> None:
    assert len(OPERATIONS) >= 10
    assert {"PUT /services/{name}", "POST /predict", "DELETE /train"} <= set(OPERATIONS)
