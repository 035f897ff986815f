"""Tables as bodies: Arrow streams and files in and out, Parquet in; numbers go to the model without Python objects."""

import base64
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from trimtab.kernel.errors import Invalid
from trimtab.serving.arrow import writing
from trimtab.serving.arrow.reading import Column, Foreign, read
from trimtab.serving.batch import Batch, Output
from trimtab.serving.protocols import tensors
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.schema import Schema

STREAM = b"application/vnd.apache.arrow.stream"
FILE = b"application/vnd.apache.arrow.file"
PARQUET = (b"application/vnd.apache.parquet", b"application/x-parquet")
ANSWERS = (STREAM, FILE)
TYPES = (*ANSWERS, *PARQUET)


def decode(schema: Schema, body: bytes, kind: bytes, *, answer: Any = None) -> Batch | Callable[[], Batch]:
    """Return the rows of a table, or what returns them; raises Invalid naming the column."""
    if kind in ANSWERS and "numpy" in sys.modules and len(body) <= tensors.LARGE_BYTES:
        try:
            return _in_place(schema, body, answer)
        except Foreign:
            pass
    return partial(_decode, schema, body, kind, answer)


def _decode(schema: Schema, body: bytes, kind: bytes, answer: Any) -> Batch:
    if kind in ANSWERS:
        try:
            return _in_place(schema, body, answer)
        except Foreign:
            pass
    from trimtab.serving.arrow import foreign

    columns = list(schema.names) if schema.fields and not schema.tensor else None
    plain = foreign.plain(
        body,
        parquet=kind in PARQUET,
        columns=columns,
        max_rows=tensors.MAX_ROWS,
        max_values=tensors.MAX_VALUES,
    )
    try:
        return _in_place(schema, plain, answer)
    except Foreign as error:
        raise Invalid(f"{error}, which is not read here; send it as a number or as text") from None


def _in_place(schema: Schema, body: bytes, answer: Any) -> Batch:
    wanted = schema.names if schema.fields and not schema.tensor else None
    parts = read(body, wanted, max_rows=tensors.MAX_ROWS, max_values=tensors.MAX_VALUES)
    if schema.tensor:
        parts = schema.by_position(parts)
    if not parts:
        missing = next((field.name for field in schema.fields if field.required), None)
        hint = f"; column {missing!r} is missing" if missing else ""
        raise Invalid(f"the table has none of the columns that the model takes{hint}", field=missing)
    columns = {name: _joined(one) for name, one in parts.items() if one}
    if not columns:
        raise Invalid("the table has no rows")
    rows = len(next(iter(columns.values())).values)
    packed = _packed(schema, columns, rows)
    if packed is not None:
        return Batch({}, rows, packed=packed, answer=answer)
    binary = {field.name for field in schema.fields if field.type == "binary"}
    lists = {name: _plain_list(name, column, binary=name in binary) for name, column in columns.items()}
    return Batch(schema.columns(lists), rows, answer=answer)


def _joined(parts: Sequence[Column]) -> Column:
    """Return a column's parts in one."""
    if len(parts) == 1:
        return parts[0]
    if not any(isinstance(one.values, list) for one in parts):
        import numpy as np

        missing = None
        if any(one.missing is not None for one in parts):
            missing = np.concatenate(
                [np.zeros(len(one.values), "?") if one.missing is None else one.missing for one in parts]
            )
        return Column(np.concatenate([one.values for one in parts]), missing)
    return Column([value for one in parts for value in one.as_list()])


def _packed(schema: Schema, columns: Mapping[str, Column], rows: int) -> bytes | None:
    if not schema.packable:
        return None
    import numpy as np

    given: dict[str, Any] = {}
    for field in schema.fields:
        column = columns.get(field.name)
        if column is None:
            continue
        values = column.values
        if isinstance(values, list):
            return None
        if column.missing is not None:
            if field.required or values.dtype.kind == "b":
                return None
            values = np.where(column.missing, np.nan, values.astype("<f8"))
        given[field.name] = values
    return tensors.pack(schema, given, rows)


def _plain_list(name: str, column: Column, *, binary: bool) -> list[Any]:
    values = column.as_list()
    if not any(isinstance(value, bytes) for value in values):
        return values
    try:
        return [
            value
            if not isinstance(value, bytes)
            else base64.b64encode(value).decode()
            if binary
            else value.decode()
            for value in values
        ]
    except UnicodeDecodeError:
        raise Invalid(f"column {name!r} has bytes that are not UTF-8 text", field=name) from None


def encode(kind: bytes, outputs: Sequence[Output]) -> Encoded:
    """Return the outputs as an Arrow stream or file."""
    return Encoded(writing.file(outputs) if kind == FILE else writing.stream(outputs), kind)
