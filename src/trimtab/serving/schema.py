"""A signature compiled for the request path: typed decoders where rows are right, exact messages where not.

The typed fast path accepts or declines; whatever it declines goes through `Schema.columns`, which mends what a
signature allows (NaN as missing, 3.0 where an integer is meant) and otherwise names the column and the row.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from trimtab.kernel import time
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.batch import Batch
from trimtab.serving.routes import NUMERIC, Field, Signature

_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[str, Any] = {
    "boolean": bool,
    "integer": _INT32,
    "long": _INT64,
    "float": float,
    "double": float,
    "string": str,
}
_RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_EXACT_DOUBLE = 2**53
_WANTED = {
    "boolean": "true or false",
    "integer": "an integer of 32 bits",
    "long": "an integer of 64 bits",
    "float": "a number",
    "double": "a number",
    "string": "a string",
    "binary": "a string in base 64",
    "datetime": "a time in ISO 8601",
}
_astuple = msgspec.structs.astuple


class Schema:
    """One endpoint's columns: checks rows and packs them for the model. Without a signature all values pass."""

    def __init__(self, signature: Signature | None) -> None:
        self.signature = signature
        self.fields: tuple[Field, ...] = tuple(signature.inputs) if signature else ()
        self.names: tuple[str, ...] = tuple(field.name for field in self.fields)
        self.tensor = bool(signature and signature.tensor)
        self.packable = bool(self.fields) and all(f.type in NUMERIC and f.shape is None for f in self.fields)
        self.typed = bool(self.fields) and all(f.type in _TYPES and f.shape is None for f in self.fields)
        self.floats = self.packable and all(f.type in ("float", "double") for f in self.fields)
        self._long = tuple(field.name for field in self.fields if field.type == "long")
        self._row = struct.Struct(f"<{len(self.fields)}d")
        self.layout = 0
        """The number of its packed columns in the prediction log, once they are logged."""
        self.compiled: dict[str, Any] = {}
        """What protocols precompute for this schema, by the protocol's name."""
        self.row_types: tuple[Any, ...] = ()
        self.columns_type: Any = None
        if self.typed:
            values = [_TYPES[f.type] if f.required else _TYPES[f.type] | None for f in self.fields]
            rename = {f"c{at}": name for at, name in enumerate(self.names)}
            row = msgspec.defstruct(
                "Row",
                [
                    (f"c{at}", kind) if field.required or self.tensor else (f"c{at}", kind, None)
                    for at, (field, kind) in enumerate(zip(self.fields, values, strict=True))
                ],
                rename=rename,
                kw_only=True,
                gc=False,
            )
            self.row_types = (row, tuple.__class_getitem__(tuple(values)))
            self.columns_type = msgspec.defstruct(
                "Columns",
                [(f"c{at}", list.__class_getitem__(kind)) for at, kind in enumerate(values)],
                rename=rename,
            )

    def batch(self, rows: Sequence[Any], *, parameters: dict[str, Any] | None = None) -> Batch:
        """Return the batch of rows that `row_types` decoded, packed where they are all numbers."""
        tuples = [row if type(row) is tuple else _astuple(row) for row in rows]
        packed = self._pack_rows(tuples) if self.packable else None
        if packed is not None:
            return Batch({}, len(rows), parameters=parameters, packed=packed)
        columns = dict(zip(self.names, map(list, zip(*tuples, strict=True)), strict=True))
        return Batch(columns, len(rows), parameters=parameters)

    def _pack_rows(self, rows: list[tuple[Any, ...]]) -> bytes | None:
        if len(rows) == 1 and not self._long:
            try:
                return self._row.pack(*rows[0])
            except struct.error:  # a value is missing
                return self._row.pack(*[math.nan if value is None else value for value in rows[0]])
        return self.pack(dict(zip(self.names, zip(*rows, strict=True), strict=True)), len(rows))

    def pack_row(self, values: Sequence[float]) -> bytes | None:
        """Return one row of numbers packed, or None where one is too large for float64."""
        try:
            return self._row.pack(*values)
        except (OverflowError, struct.error):
            return None

    def columns(self, given: Mapping[str, list[Any]], *, finite: bool = False) -> dict[str, list[Any]]:
        """Return checked columns in the signature's order; raises Invalid naming the column and the row.

        Columns that the signature does not know are left out, as MLflow does. ``finite`` promises that no float
        is NaN or infinite, which holds for whatever came from strict JSON.
        """
        rows = _row_count(given)
        if not self.fields:
            return dict(given)
        if self.tensor:
            given = self.by_position(given)
        typed = self.convert(given)
        if typed is not None and (finite or all(map(_is_finite, typed.values()))):
            return typed
        checked: dict[str, list[Any]] = {}
        for field in self.fields:
            values = given.get(field.name)
            if values is not None:
                checked[field.name] = _check_values(field, values)
            elif field.required:
                unknown = set(given) - set(self.names)
                hint = did_you_mean(field.name, unknown).replace("Did you mean", "Is it the given column")
                raise Invalid(f"column {field.name!r} is missing.{hint}", field=field.name)
            else:
                checked[field.name] = [None] * rows
        return checked

    def by_position(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return columns by an array's names, which has none of its own: others count by position, as in MLflow."""
        known = sum(name in given for name in self.names)
        if known == 0 and len(given) == len(self.names):
            return dict(zip(self.names, given.values(), strict=True))
        if known < len(self.names):
            first = next(name for name in self.names if name not in given)
            raise Invalid(
                f"column {first!r} is missing: the model takes an array of {len(self.names)} columns, and"
                f" {len(given)} are given",
                field=first,
            )
        return given

    def convert(self, given: Mapping[str, list[Any]]) -> dict[str, list[Any]] | None:
        """Return columns that keep the signature as they are, in its order, or None."""
        if not self.typed:
            return None
        try:
            return dict(zip(self.names, _astuple(msgspec.convert(given, self.columns_type)), strict=True))
        except msgspec.ValidationError:
            return None

    def from_positions(
        self, rows: Sequence[Any], names: Sequence[str] = (), *, finite: bool = False
    ) -> dict[str, list[Any]]:
        """Return checked columns from rows of values in the given order, or that of the signature."""
        order = names or self.names
        if not rows:
            raise Invalid("there are no rows")
        if not order:
            first = rows[0]
            order = [str(at) for at in range(len(first))] if isinstance(first, list) else ["0"]
        if len(set(order)) != len(order):
            twice = next(name for name in order if list(order).count(name) > 1)
            raise Invalid(f"column {twice!r} is given twice", field=twice)
        width = len(order)
        lists: list[list[Any]] = []
        for at, row in enumerate(rows):
            if not isinstance(row, list) and width > 1:
                raise Invalid(f"row {at} is {_what(row)}, not a list of {width} values")
            values: list[Any] = row if isinstance(row, list) else [row]
            if len(values) != width:
                if width == 1:
                    values = [values]
                else:
                    raise Invalid(
                        f"row {at} has {len(values)} values, but there are {width} columns ({_some(order)})"
                    )
            lists.append(values)
        return self.columns(dict(zip(order, map(list, zip(*lists, strict=True)), strict=True)), finite=finite)

    def packed(self, batch: Batch) -> bytes | None:
        """Return a batch's values packed, or None where that does not say everything."""
        return batch.packed if batch.packed is not None else self.pack(batch.columns, batch.rows)

    def pack(self, columns: Mapping[str, Sequence[Any]], rows: int) -> bytes | None:
        """Return float64 values, column after column, or None where they do not say everything."""
        if not self.packable:
            return None
        for name in self._long:
            for value in columns[name]:
                if value is not None and not -_EXACT_DOUBLE <= value <= _EXACT_DOUBLE:
                    return None
        try:
            if rows == 1:
                return self._row.pack(*[values[0] for values in columns.values()])
            column = f"<{rows}d"  # which takes a third of the time of an array
            return b"".join([struct.pack(column, *values) for values in columns.values()])
        except (struct.error, TypeError):
            nan, column = math.nan, f"<{rows}d"
            return b"".join(
                [
                    struct.pack(column, *[nan if v is None else v for v in values])
                    for values in columns.values()
                ]
            )


_columns_encoder = msgspec.msgpack.Encoder()


def encode_columns(columns: Mapping[str, list[Any]]) -> bytes:
    """Return columns as MessagePack; raises Invalid where a value has no form there."""
    try:
        return _columns_encoder.encode(columns)
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(f"a value cannot be passed to the model: {error}") from None


def _row_count(given: Mapping[str, Any]) -> int:
    if not given:
        raise Invalid("there are no columns")
    rows = -1
    first = ""
    for name, values in given.items():
        if not isinstance(values, list):
            raise Invalid(f"column {name!r} is {_what(values)}, not a list of values", field=name)
        size = len(values)
        if rows < 0:
            rows, first = size, name
        elif size != rows:
            raise Invalid(f"column {name!r} has {size} values, but {first!r} has {rows}", field=name)
    if rows == 0:
        raise Invalid("there are no rows")
    return rows


def _is_finite(values: list[Any]) -> bool:
    """Say whether no float of a converted column is NaN or infinite."""
    return not any(type(value) is float and not math.isfinite(value) for value in values)


def _check_values(field: Field, values: list[Any]) -> list[Any]:
    read = _READERS.get(field.type) if field.shape is None else None
    checked: list[Any] = []
    for at, value in enumerate(values):
        missing = value is None or (type(value) is float and math.isnan(value) and field.type != "any")
        if missing:
            if field.required and field.type != "any":
                word = "null" if value is None else "NaN"
                raise Invalid(
                    f"column {field.name!r}, row {at} is {word}, but the signature requires a value",
                    field=field.name,
                )
            checked.append(None)
            continue
        try:
            checked.append(read(field, value) if read else value)
        except ValueError as error:
            message = str(error) or f"expected {_WANTED[field.type]} ({field.type}), got {_what(value)}"
            raise Invalid(f"column {field.name!r}, row {at}: {message}", field=field.name) from None
    return checked


def _read_boolean(_field: Field, value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _read_integer(field: Field, value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError
    low, high = _RANGES[field.type]
    if not low <= value <= high:
        raise ValueError(f"{_what(value)} is outside the range of type {field.type}")
    return value


def _read_number(_field: Field, value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise ValueError
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("the number is too large") from None
    if math.isinf(number):
        raise ValueError("infinity is not a number that a model takes")
    return number


def _read_string(_field: Field, value: Any) -> str:
    if type(value) is not str:
        raise ValueError
    return value


def _read_binary(_field: Field, value: Any) -> str:
    try:
        msgspec.convert(value, bytes)
    except msgspec.ValidationError:
        raise ValueError from None
    return value


def _read_datetime(_field: Field, value: Any) -> str:
    if type(value) is not str:
        raise ValueError
    try:
        time.parse(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not a time in ISO 8601") from None
    return value


_READERS: dict[str, Callable[[Field, Any], Any]] = {
    "boolean": _read_boolean,
    "integer": _read_integer,
    "long": _read_integer,
    "float": _read_number,
    "double": _read_number,
    "string": _read_string,
    "binary": _read_binary,
    "datetime": _read_datetime,
}


def _what(value: Any) -> str:
    """Return a short description of a wrong value, without repeating more than 40 characters of it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "an object"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
