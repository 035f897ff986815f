"""The OpenAPI document is valid and complete, and no request made from it brings the server down."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case, GenerationMode, checks, openapi
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig

from tests.processes import Server
from trimtab.app import App
from trimtab.http import native_routes
from trimtab.infra.http.openapi import document
from trimtab.sdk.client import Client

EXAMPLES = 2  # of each operation, for each way to make them
WANTED = ["not_a_server_error", "content_type_conformance", "response_schema_conformance"]
MISREAD = (
    "/api/v1/runs/{run_id}/metrics/{key}"  # schemathesis turns its prefixItems into what 3.1 does not have
)
NAMED = {"data": "data", "endpoints": "endpoint", "models": "endpoint", "monitors": "endpoint"}


def test_the_document_is_valid(client: Client) -> None:
    answered = client.get("/openapi.json")
    assert answered["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(answered).validate()


def test_every_route_is_in_it(app: App) -> None:
    routes = native_routes(app)
    paths = document(routes, version="1")["paths"]
    described = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert described == {f"{route.method} {re.sub(r':[a-z]+}', '}', route.path)}" for route in routes}
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] and operation["tags"] for operation in operations)


def test_the_server_answers_the_same_document(app: App, client: Client) -> None:
    made = document(native_routes(app), version=client.get("/openapi.json")["info"]["version"])
    assert client.get("/openapi.json")["paths"].keys() == made["paths"].keys()


@pytest.mark.timeout(240)
def test_no_request_brings_the_server_down(server: Server, known: Mapping[str, str]) -> None:
    """Send what the document allows and what it does not, to names that exist and to names that do not."""
    generation = GenerationConfig(deterministic=True, allow_x00=True)
    config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
    api = openapi.from_url(f"{server.url}/api/v1/openapi.json", config=config)
    checks.load_all_checks()
    problems: list[str] = []
    for found in api.get_all_operations():
        operation = found.ok()
        names = _names(operation.path, known) if operation.method != "delete" else None
        for mode in [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]:
            if mode is GenerationMode.NEGATIVE and not (len(operation.body) or len(operation.query)):
                continue  # every path is made of text, and all text is allowed in it
            strategy = (
                operation.as_strategy(mode, path_parameters=names) if names else operation.as_strategy(mode)
            )
            try:
                _try(strategy)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # a body of bytes can hold nothing wrong
            except Exception as problem:  # noqa: BLE001 - each operation is to be tried, whatever the others did
                problems.append(f"{operation.label} ({mode.value}): {problem}")
    assert not problems, "\n\n".join(problems)


def _try(strategy: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def one(case: Case) -> None:
        case.call_and_validate(checks=_checks(case.operation.path), timeout=20)

    one()


def _checks(path: str) -> list[Any]:
    return [checks.CHECKS.get_one(name) for name in (WANTED[:2] if path == MISREAD else WANTED)]


def _names(path: str, known: Mapping[str, str]) -> dict[str, Any] | None:
    """Return values of a path's parameters that lead to what exists, if it has any."""
    noun = path.split("/")[3]
    names = {**known, "name": known.get(NAMED.get(noun, ""), "by-hand-2")}
    wanted = re.findall(r"{(\w+)}", path)
    return (
        {name: names[name] for name in wanted} if wanted and all(name in names for name in wanted) else None
    )
