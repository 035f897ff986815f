"""MLflow's scoring protocol: the four JSON layouts and CSV in, ``{"predictions": ...}`` out."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.batch import Batch, Output, predictions
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols.answers import Encoded, media_type
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.routes import Field
from trimtab.serving.schema import Schema

LAYOUTS = ("dataframe_split", "dataframe_records", "instances", "inputs")

probabilities = False

_NONE: Mapping[bytes, bytes] = {}
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


def decode(schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE) -> Batch:
    """Return the rows in a body; raises Invalid naming what is wrong, UnsupportedMedia for other types."""
    kind = media_type(headers)
    if kind == b"text/csv":
        return _decode_csv(schema, body)
    if kind not in (b"application/json", b""):
        raise UnsupportedMedia(
            f"content type {kind.decode('latin-1')!r} is not read here; send application/json or text/csv"
        )
    if "mlflow" not in schema.compiled:
        prepare(schema)
    if schema.typed:
        try:
            batch = _typed(schema, schema.compiled["mlflow"](body))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            batch = None
        if batch is not None:
            return batch
    return _generic(schema, body)


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
    finite = not loose
    if layout == "dataframe_split":
        columns = _from_split(schema, value, finite=finite)
    elif layout == "dataframe_records":
        columns = _from_records(schema, _list(layout, value), finite=finite)
    elif isinstance(value, dict):
        if layout == "instances":
            raise Invalid("instances is a list of rows; for columns use inputs", field="instances")
        columns = schema.columns(value, finite=finite)
    elif layout == "inputs" and not isinstance(value, list):
        raise Invalid("inputs is an object of columns or a list of rows", field="inputs")
    else:
        columns = _from_instances(schema, _list(layout, value), finite=finite)
    return Batch(columns, len(next(iter(columns.values()))), parameters=params)


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
    names: dict[str, None] = dict.fromkeys(schema.names)
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Invalid(f"row {at} is not an object of columns")
        for field in schema.fields:
            if field.required and field.name not in row:
                unknown = set(row) - set(schema.names)
                hint = did_you_mean(field.name, unknown).replace("Did you mean", "Is it the given column")
                raise Invalid(f"column {field.name!r} is missing in row {at}.{hint}", field=field.name)
        if not schema.fields:
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


def _decode_csv(schema: Schema, body: bytes) -> Batch:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("the body is not valid UTF-8") from None
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise Invalid(f"the body is not CSV: {error}") from None
    if len(lines) < 2:
        raise Invalid("the body has a line of column names and at least one row")
    names, rows = lines[0], lines[1:]
    if len(set(names)) != len(names):
        raise Invalid("a column is named twice in the first line")
    for at, row in enumerate(rows):
        if len(row) != len(names):
            raise Invalid(f"row {at} has {len(row)} values, but there are {len(names)} columns")
    types: dict[str, Field] = {field.name: field for field in schema.fields}
    columns: dict[str, list[Any]] = {
        name: [_cell(types.get(name), text) for text in texts]
        for name, texts in zip(names, zip(*rows, strict=True), strict=True)
    }
    checked = schema.columns(columns)
    return Batch(checked, len(rows))


def _cell(field: Field | None, text: str) -> Any:
    """Return a CSV cell as its column's type; what does not parse stays text, for the schema to name."""
    kind = field.type if field else "any"
    if kind in ("string", "binary", "datetime"):
        return None if not text and field and not field.required else text
    if text.strip() in ("", "nan", "NaN", "null", "NULL", "NA"):
        return None
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower(), text)
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return ``{"predictions": ...}``; who answered is in the headers, where MLflow's clients expect nothing."""
    del endpoint, version, prediction_id, batch
    return Encoded(_encode({"predictions": predictions(outputs)}))


def encode_error(status: int, message: str) -> bytes:
    """Return MLflow's error object; it never has a stack trace."""
    code = _ERROR_CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
    return _encode({"error_code": code, "message": message})
