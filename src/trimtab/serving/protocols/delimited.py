"""Rows as text: CSV with or without a line of names, and JSON lines, in and out."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output, predictions
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.routes import NUMERIC, Field
from trimtab.serving.schema import Schema

LINES = (b"application/jsonlines", b"application/x-ndjson", b"application/jsonl")
"""The types by which JSON lines go."""

_MISSING = frozenset(("", "nan", "NaN", "null", "NULL", "NA"))
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_encode = msgspec.json.Encoder().encode


def decode_csv(schema: Schema, body: bytes) -> Batch:
    """Return the rows of CSV; a first line that has values and no column's name is a row. Raises Invalid."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("the body is not valid UTF-8") from None
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise Invalid(f"the body is not CSV: {error}") from None
    named = not (lines and _is_row(schema, lines[0]))
    names, rows = (lines[0], lines[1:]) if lines and named else (list(schema.names), lines)
    if not rows:
        raise Invalid("the body has a line of column names and at least one row")
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


def _is_row(schema: Schema, line: list[str]) -> bool:
    """Say whether a first line is a row: as wide as the signature, and a number wherever that wants one."""
    if len(line) != len(schema.fields) or not any(field.type in NUMERIC for field in schema.fields):
        return False
    return not set(line) & set(schema.names) and all(
        not isinstance(_cell(field, text), str)
        for field, text in zip(schema.fields, line, strict=True)
        if field.type in NUMERIC
    )


def _cell(field: Field | None, text: str) -> Any:
    """Return a CSV cell as its column's type; what does not parse stays text, for the schema to name."""
    kind = field.type if field else "any"
    if kind in ("string", "binary", "datetime"):
        return None if not text and field and not field.required else text
    if text.strip() in _MISSING:
        return None
    if kind == "boolean":
        return _BOOLEANS.get(text.strip().lower(), text)
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def lines_of(schema: Schema, body: bytes) -> tuple[list[Any], bool]:
    """Return the rows of JSON lines, each an object of columns or a list, and whether all numbers are finite.

    SageMaker's ``{"features": [...]}`` is a list. Raises Invalid naming the line.
    """
    rows: list[Any] = []
    finite = True
    for at, line in enumerate(one for one in body.splitlines() if one.strip()):
        try:
            row, loose = loads(line)
        except Invalid as error:
            raise Invalid(f"line {at}: {error.message}") from None
        finite = finite and not loose
        if isinstance(row, dict) and set(row) == {"features"} and "features" not in schema.names:
            row = row["features"]
        if not isinstance(row, dict | list):
            raise Invalid(f"line {at} is neither an object of columns nor a list of values")
        rows.append(row)
    if not rows:
        raise Invalid("the body has no lines")
    return rows, finite


def encode(kind: bytes, outputs: Sequence[Output]) -> Encoded:
    """Return one line for each row: its values apart by commas in CSV, else ``{"prediction": ...}``."""
    rows = predictions(outputs)
    if kind == b"text/csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            values = list(row.values()) if isinstance(row, dict) else row
            writer.writerow(values if isinstance(values, list) else [values])
        return Encoded(text.getvalue().encode(), b"text/csv; charset=utf-8")
    return Encoded(b"".join([_encode({"prediction": row}) + b"\n" for row in rows]), kind)
