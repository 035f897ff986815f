"""MLflow's scoring protocol: four JSON layouts, CSV, Arrow and Parquet in, ``{"predictions": ...}`` out.

It is SageMaker's too, which sends JSON lines and CSV without names, and asks for another type in ``Accept``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.batch import Batch, Output, explanations, predictions
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols import delimited, tables
from trimtab.serving.protocols.answers import NO_OTHER_TYPE, Encoded, media_type, preferred
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.schema import Schema

LAYOUTS = ("dataframe_split", "dataframe_records", "instances", "inputs")

probabilities = False

ANSWERS = (*tables.ANSWERS, b"text/csv", *delimited.LINES)
"""The types of answers that may be asked for instead of JSON."""

_NONE: Mapping[bytes, bytes] = {}
_JSON_TYPES = (b"application/json", b"")
_encode = msgspec.json.Encoder().encode
_ERROR_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "BAD_REQUEST",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str] = []


def prepare(schema: Schema) -> None:
    """Compile the schema's typed decoder ahead of the first request."""
    row: Any = schema.row_types[0] if schema.typed else dict[str, Any]
    either: Any = schema.row_types[0] | schema.row_types[1] if schema.typed else Any
    records: Any = list.__class_getitem__(row)
    rows: Any = list.__class_getitem__(either)
    inputs: Any = (schema.columns_type | rows) if schema.typed else Any
    unset: Any = msgspec.UnsetType
    body = msgspec.defstruct(
        "Body",
        [
            ("dataframe_records", records | unset, msgspec.UNSET),
            ("dataframe_split", _Split | unset, msgspec.UNSET),
            ("instances", rows | unset, msgspec.UNSET),
            ("inputs", inputs | unset if schema.typed else Any, msgspec.UNSET),
            ("params", dict[str, Any] | None, None),
        ],
    )
    schema.compiled["mlflow"] = msgspec.json.Decoder(body).decode


def decode(
    schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE
) -> Batch | Callable[[], Batch]:
    """Return the rows in a body; raises Invalid naming what is wrong, UnsupportedMedia for other types."""
    kind = media_type(headers)
    if kind not in _JSON_TYPES:
        return _decode_other(schema, body, headers, kind)
    batch = decode_json(schema, body)
    accept = headers.get(b"accept")
    if accept is not None and accept not in NO_OTHER_TYPE:
        batch.answer = preferred(accept, ANSWERS)
    return batch


def decode_json(schema: Schema, body: bytes) -> Batch:
    """Return the rows in a JSON body; raises Invalid naming what is wrong."""
    return typed(schema, body) or _generic(schema, body)


def _decode_other(
    schema: Schema, body: bytes, headers: Mapping[bytes, bytes], kind: bytes
) -> Batch | Callable[[], Batch]:
    accept = headers.get(b"accept", b"*/*")
    answer = preferred(accept, ANSWERS)
    if kind == b"text/csv":
        batch = delimited.decode_csv(schema, body)
    elif kind in delimited.LINES:
        rows, finite = delimited.lines_of(schema, body)
        batch = Batch(columns_of(schema, "instances", rows, finite=finite), len(rows))
    elif kind in tables.TYPES:
        if accept == b"*/*" and kind in tables.ANSWERS:
            answer = kind
        return tables.decode(schema, body, kind, answer=answer)
    else:
        raise UnsupportedMedia(
            f"content type {kind.decode('latin-1')!r} is not read here; send application/json, text/csv, "
            "application/jsonlines, or a table as Arrow or Parquet"
        )
    batch.answer = answer
    return batch


def typed(schema: Schema, body: bytes) -> Batch | None:
    """Return the rows of a JSON body that keeps the signature as it is, or None where only a closer look can say."""
    if not schema.typed:
        return None
    if "mlflow" not in schema.compiled:
        prepare(schema)
    try:
        return _typed(schema, schema.compiled["mlflow"](body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _typed(schema: Schema, body: Any) -> Batch | None:
    """Return the rows of a body that kept the signature, or None where only the generic path can say."""
    unset = msgspec.UNSET
    records, split, instances, inputs = (
        body.dataframe_records,
        body.dataframe_split,
        body.instances,
        body.inputs,
    )
    if (records is unset) + (split is unset) + (instances is unset) + (inputs is unset) != 3:
        return None
    if split is not unset:
        if not split.data or (split.columns and len(set(split.columns)) != len(split.columns)):
            return None
        by_column = map(list, zip(*split.data, strict=True))
        columns = schema.columns(
            dict(zip(split.columns or schema.names, by_column, strict=True)), finite=True
        )
    elif inputs is not unset and type(inputs) is not list:
        values = msgspec.structs.astuple(inputs)
        if not values[0] or any(len(column) != len(values[0]) for column in values):
            return None
        columns = dict(zip(schema.names, values, strict=True))
    else:
        rows = next(rows for rows in (records, instances, inputs) if rows is not unset)
        if not rows:
            return None
        return schema.batch(rows, parameters=body.params)
    return Batch(columns, len(columns[schema.names[0]]), parameters=body.params)


def _generic(schema: Schema, body: bytes) -> Batch:
    payload, loose = loads(body)
    if not isinstance(payload, dict):
        raise Invalid(f"the body is a JSON object with one of {', '.join(LAYOUTS)}")
    given = [layout for layout in LAYOUTS if layout in payload]
    if len(given) != 1:
        hint = "".join(did_you_mean(str(key), LAYOUTS) for key in payload if key not in LAYOUTS)[:120]
        found = f"it has {' and '.join(given)}" if given else "it has none of them"
        raise Invalid(f"the body holds exactly one of {', '.join(LAYOUTS)}; {found}.{hint}")
    layout = given[0]
    value = payload[layout]
    params = payload.get("params")
    if params is not None and not isinstance(params, dict):
        raise Invalid("params is an object", field="params")
    columns = columns_of(schema, layout, value, finite=not loose)
    return Batch(columns, len(next(iter(columns.values()))), parameters=params)


def columns_of(schema: Schema, layout: str, value: Any, *, finite: bool) -> dict[str, list[Any]]:
    """Return the checked columns of a value in one of the layouts; raises Invalid naming the column or the layout."""
    if layout == "dataframe_split":
        return _from_split(schema, value, finite=finite)
    if layout == "dataframe_records":
        return _from_records(schema, _list(layout, value), finite=finite)
    if isinstance(value, dict):
        if layout == "instances":
            raise Invalid("instances is a list of rows; for columns use inputs", field="instances")
        return schema.columns(value, finite=finite)
    if layout == "inputs" and not isinstance(value, list):
        raise Invalid("inputs is an object of columns or a list of rows", field="inputs")
    return _from_instances(schema, _list(layout, value), finite=finite)


def _list(layout: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid(f"{layout} is a list of rows", field=layout)
    if not value:
        raise Invalid(f"{layout} has no rows", field=layout)
    return value


def _from_split(schema: Schema, value: Any, *, finite: bool) -> dict[str, list[Any]]:
    if not isinstance(value, dict) or "data" not in value:
        raise Invalid("dataframe_split is an object with columns and data", field="dataframe_split")
    names = value.get("columns") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise Invalid("dataframe_split.columns is a list of names", field="dataframe_split.columns")
    return schema.from_positions(_list("dataframe_split.data", value["data"]), names, finite=finite)


def _from_records(schema: Schema, rows: list[Any], *, finite: bool) -> dict[str, list[Any]]:
    """Return columns from objects; a key absent in some rows is null there, unless the signature requires it."""
    names: dict[str, None] = dict.fromkeys(() if schema.tensor else schema.names)
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Invalid(f"row {at} is not an object of columns")
        for field in schema.fields:
            if field.required and field.name not in row and not schema.tensor:
                unknown = set(row) - set(schema.names)
                hint = did_you_mean(field.name, unknown).replace("Did you mean", "Is it the given column")
                raise Invalid(f"column {field.name!r} is missing in row {at}.{hint}", field=field.name)
        if not schema.fields or schema.tensor:
            names.update(dict.fromkeys(row))
    return schema.columns({name: [row.get(name) for row in rows] for name in names}, finite=finite)


def _from_instances(schema: Schema, rows: list[Any], *, finite: bool) -> dict[str, list[Any]]:
    if any(isinstance(row, dict) for row in rows):
        # Rows by position and by name may be mixed; each kind is brought to the names first.
        named = [
            dict(zip(schema.names, row, strict=False)) if isinstance(row, list) and schema.names else row
            for row in rows
        ]
        return _from_records(schema, named, finite=finite)
    if len(schema.fields) == 1 and schema.fields[0].shape is not None:
        return schema.columns({schema.names[0]: rows}, finite=finite)
    return schema.from_positions(rows, finite=finite)


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return ``{"predictions": ...}``; who answered is in the headers, where MLflow's clients expect nothing."""
    del endpoint, version, prediction_id
    kind = batch.answer
    if kind is not None:
        return tables.encode(kind, outputs) if kind in tables.ANSWERS else delimited.encode(kind, outputs)
    explained = explanations(outputs)
    if explained is not None:
        return Encoded(_encode({"predictions": predictions(outputs), "explanations": explained}))
    return Encoded(_encode({"predictions": predictions(outputs)}))


def encode_error(status: int, message: str) -> bytes:
    """Return MLflow's error object; it never has a stack trace."""
    code = _ERROR_CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
    return _encode({"error_code": code, "message": message})
