"""Builds the OpenAPI 3.1 document from the declared routes, so that it cannot differ from what handlers take."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.infra.http.problems import Problem
from trimtab.infra.http.routing import Route

_PATH_PARAMETER = re.compile(r"\{([a-z_]+)(?::([a-z]+))?\}")
_REFERENCE = "#/components/schemas/{name}"


def document(routes: Sequence[Route], *, version: str) -> dict[str, Any]:
    """Return the document as plain JSON values."""
    types = [kind for route in routes for kind in (route.body, route.returns) if kind is not None]
    query_types = [route.query for route in routes if route.query is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, *query_types, Problem], ref_template=_REFERENCE
    )
    by_type = {id(kind): schema for kind, schema in zip([*types, *query_types], schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PATH_PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_type, components)
    queries = {_name(by_type[id(kind)]) for kind in query_types}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trimtab",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "tags": [{"name": tag} for tag in sorted({tag for route in routes for tag in route.tags})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {name: schema for name, schema in sorted(components.items()) if name not in queries},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _name(schema: dict[str, Any]) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


def _operation(
    route: Route, by_type: dict[int, dict[str, Any]], components: dict[str, Any]
) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if kind == "int" else "string"},
        }
        for name, kind in _PATH_PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schema = components[_name(by_type[id(route.query)])]
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema.get("properties", {}).items()
        ]
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": list(route.tags),
        "parameters": parameters,
        "responses": {
            str(
                204 if route.returns is None and route.status == 200 and _is_json(route) else route.status
            ): _success(route, by_type),
            "default": {
                "description": "An error, as a problem document (RFC 9457).",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[id(route.body)]}},
        }
    elif route.raw_body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    return operation


def _is_json(route: Route) -> bool:
    return route.media_type == "application/json"


def _success(route: Route, by_type: dict[int, dict[str, Any]]) -> dict[str, Any]:
    if route.returns is not None:
        return {"description": "Done.", "content": {route.media_type: {"schema": by_type[id(route.returns)]}}}
    if not _is_json(route):
        return {"description": "Done.", "content": {route.media_type: {"schema": {"type": "string"}}}}
    return {"description": "Done."}
