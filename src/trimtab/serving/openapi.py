"""The OpenAPI document of one endpoint: every address that it answers, with its own columns and a row to try."""

from collections.abc import Sequence
from typing import Any

from trimtab.serving.addresses import ADDRESSES, Address
from trimtab.serving.protocols import delimited, tables, v2
from trimtab.serving.routes import Field
from trimtab.serving.schema import Schema
from trimtab.version import __version__

_JSON_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "any": {},
}
_EXAMPLES: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "string": "text",
    "binary": "AA==",
    "datetime": "2026-01-31T12:00:00Z",
    "any": 0,
}
_TITLES = {"/v2/": "Open Inference v2", "/v1/": "KServe v1 and TensorFlow Serving"}
_OTHER_TITLE = "MLflow and SageMaker"


def document(endpoint: str, versions: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document of the addresses that name this endpoint."""
    paths: dict[str, Any] = {}
    for address in ADDRESSES:
        if address.method == "GRPC" or "{name}" not in address.template:
            continue
        path = address.template.replace("{name}", endpoint)
        operation = _operation(address, versions, schema)
        operation["operationId"] = _operation_id(address)
        paths.setdefault(path, {})[address.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": endpoint,
            "version": __version__,
            "description": f"Predictions of {endpoint}. Each answer carries its x-prediction-id and x-model-version.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Row": _row(schema), "Feedback": _FEEDBACK},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}, {}],
    }


def example_row(schema: Schema) -> dict[str, Any]:
    """Return one row that keeps the signature; without one it is empty."""
    return {field.name: _example(field) for field in schema.fields}


def _operation_id(address: Address) -> str:
    words = [
        word
        for word in address.template.replace("{", "").replace("}", "").replace(":", "/").split("/")
        if word
    ]
    return "_".join([address.method.lower(), *words]).replace(".", "_").replace("-", "_")


def _operation(address: Address, versions: Sequence[str], schema: Schema) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": address.summary,
        "tags": [_TITLES.get(address.template[:4], _OTHER_TITLE)],
        "responses": {"200": {"description": "The answer.", "content": {"application/json": {}}}},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(known)}}
        for name, known in (("version", versions), ("label", ("champion", "challenger", "shadow", "warm")))
        if f"{{{name}}}" in address.template
    ]
    if parameters:
        operation["parameters"] = parameters
    if address.action not in ("infer", "feedback"):
        return operation
    operation["responses"] |= {
        "400": {"description": "The body does not keep the signature; the message names the column."},
        "401": {"description": "There is no valid token."},
        "404": {"description": "There is no such endpoint or version."},
        "413": {"description": "The body is too large."},
        "415": {"description": "Bodies of this type are not read here."},
        "503": {"description": "No replica is up; try again."},
    }
    if address.action == "feedback":
        body = {"schema": {"$ref": "#/components/schemas/Feedback"}}
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
        return operation
    operation["responses"]["200"]["headers"] = {
        name: {"schema": {"type": "string"}} for name in ("x-prediction-id", "x-model-version")
    }
    operation["requestBody"] = {"required": True, "content": _contents(address.template[:4], schema)}
    return operation


def _contents(prefix: str, schema: Schema) -> dict[str, Any]:
    row = example_row(schema)
    raw = {"schema": {"type": "string", "format": "binary"}}
    if prefix == "/v2/":
        described = v2.describe("", [], schema)["inputs"]
        matrix = schema.tensor
        inputs = [
            {
                **tensor,
                "shape": [1, *tensor["shape"][1:]],
                "data": list(row.values()) if matrix else _flat(row[tensor["name"]]),
            }
            for tensor in described
        ]
        body = {"schema": _V2, "example": {"inputs": inputs}}
        return {
            "application/json": body,
            "application/octet-stream": raw,
            **dict.fromkeys(_names(tables.ANSWERS), raw),
        }
    if prefix == "/v1/":
        return {"application/json": {"schema": _V1, "example": {"instances": [row]}}}
    body: dict[str, Any] = {"schema": _MLFLOW, "example": {"dataframe_records": [row]}}
    text: dict[str, Any] = {"schema": {"type": "string"}}
    others = dict.fromkeys(_names(tables.TYPES), raw)
    return {"application/json": body, "text/csv": text, delimited.LINES[0].decode(): text, **others}


def _names(types: Sequence[bytes]) -> list[str]:
    return [one.decode() for one in types]


def _row(schema: Schema) -> dict[str, Any]:
    if not schema.fields:
        return {"type": "object", "description": "The model has no signature: any columns."}
    return {
        "type": "object",
        "properties": {field.name: _property(field) for field in schema.fields},
        "required": [field.name for field in schema.fields if field.required],
    }


def _property(field: Field) -> dict[str, Any]:
    kind = dict(_JSON_TYPES[field.type])
    if not field.required and "type" in kind:
        kind["type"] = [kind["type"], "null"]
    for size in reversed(field.shape or []):
        kind = {"type": "array", "items": kind}
        if size > 0:
            kind |= {"minItems": size, "maxItems": size}
    return kind


def _example(field: Field) -> Any:
    value = _EXAMPLES[field.type]
    for size in reversed(field.shape or []):
        value = [value] * (size if 0 < size <= 1000 else 1)
    return value


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [inner for item in value for inner in _flat(item)]


_ROW = {"$ref": "#/components/schemas/Row"}
_ROWS = {"type": "array", "items": {"anyOf": [_ROW, {"type": "array"}, {}]}, "minItems": 1}
_MLFLOW = {
    "type": "object",
    "description": "One of dataframe_records, dataframe_split, instances and inputs.",
    "properties": {
        "dataframe_records": {"type": "array", "items": _ROW, "minItems": 1},
        "dataframe_split": {
            "type": "object",
            "properties": {
                "columns": {"type": "array", "items": {"type": "string"}},
                "data": {"type": "array", "items": {"type": "array"}},
            },
            "required": ["data"],
        },
        "instances": _ROWS,
        "inputs": {"anyOf": [{"type": "object"}, _ROWS]},
        "params": {"type": "object"},
    },
}
_V1 = {
    "type": "object",
    "properties": {
        "instances": _ROWS,
        "inputs": {"anyOf": [{"type": "object"}, _ROWS]},
        "parameters": {"type": "object"},
    },
}
_V2 = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                    "datatype": {"type": "string"},
                    "parameters": {"type": "object"},
                    "data": {"type": "array"},
                },
                "required": ["name", "shape", "datatype", "data"],
            },
        },
        "outputs": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
    },
    "required": ["inputs"],
}
_FEEDBACK = {
    "type": "object",
    "properties": {
        "prediction_id": {"type": "string"},
        "label": {},
        "labels": {"type": "array"},
        "event_time": {"type": ["string", "integer"]},
    },
    "required": ["prediction_id"],
}
