"""Arrow columns held to a signature: whole columns first, then values, without a Python object for each.

What a request's rows must keep holds here too: a required value is there and finite, whole numbers are whole and in
range. A column that can never fit is refused before the first row; a value that does not is one row's fault.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trimtab.kernel import time
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.bulk.messages import Refusal
from trimtab.serving.errors import MissingColumn, WrongType
from trimtab.serving.loaders import Rows
from trimtab.serving.routes import NUMERIC, Field, Signature

_EXACT_DOUBLE = 2**53
_RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


def fields_of(signature: Signature | None, names: Sequence[str]) -> tuple[Field, ...]:
    """Return the columns that a model takes: those of its signature, else those that it names itself."""
    if signature is not None:
        return tuple(signature.inputs)
    return tuple(Field(name, "any", required=True) for name in names)


def match(
    fields: Sequence[Field], schema: pa.Schema, *, inputs: Sequence[str] = (), tensor: bool = False
) -> dict[str, str]:
    """Return which column of the data each field takes; raises MissingColumn or WrongType naming the column.

    ``inputs`` names the data's columns in the order of the fields, where their names differ. The columns of an
    unnamed tensor are all columns of a table that has exactly as many.
    """
    if inputs:
        if len(inputs) != len(fields):
            raise Invalid(
                f"{len(inputs)} inputs are named, but the model takes {len(fields)} columns.", field="inputs"
            )
        chosen = dict(zip((field.name for field in fields), inputs, strict=True))
    elif tensor and fields[0].name not in schema.names and len(schema.names) == len(fields):
        chosen = dict(zip((field.name for field in fields), schema.names, strict=True))
    else:
        chosen = {field.name: field.name for field in fields}
    found: dict[str, str] = {}
    for field in fields:
        column = chosen[field.name]
        places = schema.get_all_field_indices(column)
        if len(places) > 1:
            raise WrongType(f"column {column!r} is in the data twice", field=column)
        if not places:
            if field.required or inputs:
                hint = did_you_mean(column, schema.names).replace("Did you mean", "Is it")
                more = " Name the columns with inputs." if tensor else ""
                raise MissingColumn(
                    f"column {column!r}, which the model needs, is missing in the data.{hint}{more}",
                    field=column,
                )
            continue
        kind = schema.field(places[0]).type
        if not _fits(field, kind):
            wanted = field.type if field.shape is None else f"a list of {field.type}"
            raise WrongType(
                f"column {column!r} is {kind} in the data, but the model's signature says {wanted}",
                field=column,
            )
        found[field.name] = column
    return found


def _fits(field: Field, kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return not field.required or field.type == "any"
    if field.shape is not None:
        return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    match field.type:
        case "boolean":
            return pa.types.is_boolean(kind)
        case "integer" | "long" | "float" | "double":
            return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        case "string":
            return text
        case "datetime":
            return text or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        case "binary":
            return text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        case _:
            return True


class Intake:
    """Turns batches of one table into rows for one model."""

    def __init__(
        self, fields: Sequence[Field], columns: Mapping[str, str], names: Sequence[str], *, packed: bool
    ) -> None:
        """``columns`` is what `match` found; ``names`` the order of a matrix, which a ``packed`` model takes."""
        self._fields = fields
        self._columns = columns
        self._names = tuple(names)
        numeric = all(field.type in NUMERIC and field.shape is None for field in fields)
        known = {field.name for field in fields}
        self._packed = packed and numeric and set(self._names) <= known

    def take(self, batch: pa.RecordBatch) -> tuple[Rows, np.ndarray, list[Refusal]]:
        """Return the rows that keep the signature, their places in the batch, and why the others do not."""
        faults = _Faults(batch.num_rows)
        arrays: dict[str, pa.Array[Any]] = {}
        matrix: dict[str, np.ndarray] = {}
        exact = self._packed
        for field in self._fields:
            name = self._columns.get(field.name)
            if name is None:
                arrays[field.name] = pa.nulls(batch.num_rows)
                matrix[field.name] = np.full(batch.num_rows, np.nan)
                continue
            values = _plain(batch.column(name))
            if field.type in NUMERIC and field.shape is None:
                numbers, big = _numbers(field, name, values, faults)
                matrix[field.name] = numbers
                exact = exact and not big
            else:
                _check(field, name, values, faults)
            arrays[field.name] = values
        kept = faults.kept()
        whole = len(kept) == batch.num_rows
        if exact:
            table = np.empty((len(self._names), len(kept)))
            for at, name in enumerate(self._names):
                table[at] = matrix[name] if whole else matrix[name][kept]
            return Rows(len(kept), matrix=table.T), kept, faults.refusals
        columns: dict[str, list[Any]] = {}
        for field in self._fields:
            values = arrays[field.name]
            if not whole:
                values = values.take(pa.array(kept))
            columns[field.name] = _objects(field, values)
        return Rows(len(kept), columns=columns), kept, faults.refusals


class _Faults:
    """Which rows of a batch cannot be predicted, each with the first reason that was found."""

    def __init__(self, rows: int) -> None:
        self._bad = np.zeros(rows, dtype=bool)
        self.refusals: list[Refusal] = []

    def add(self, bad: np.ndarray, column: str, reason: str) -> None:
        fresh = np.flatnonzero(bad & ~self._bad)
        if len(fresh):
            self._bad[fresh] = True
            self.refusals += [Refusal(row, column, reason) for row in fresh.tolist()]

    def kept(self) -> np.ndarray:
        self.refusals.sort(key=lambda refusal: refusal.row)
        return np.flatnonzero(~self._bad)


def _plain(values: Any) -> Any:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.dictionary_decode()
    if pa.types.is_decimal(kind):
        return pc.cast(values, pa.float64())
    return values


def _numbers(field: Field, column: str, values: Any, faults: _Faults) -> tuple[np.ndarray, bool]:
    """Return a numeric column as float64 with NaN for what is missing, and whether it has values beyond doubles."""
    missing = np.asarray(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
    if field.required and missing.any():
        faults.add(missing, column, "there is no value, but the signature requires one")
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan), False
    whole = pa.types.is_integer(values.type)
    numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    big = False
    if field.type in _RANGES:
        low, high = _RANGES[field.type]
        if not whole:
            with np.errstate(invalid="ignore"):
                faults.add(~missing & (numbers != np.trunc(numbers)), column, "it is not a whole number")
            outside = ~missing & ((numbers < low) | (numbers > high) | np.isinf(numbers))
        else:
            outside = ~missing & ((numbers < low) | (numbers > high))
        if outside.any():
            faults.add(outside, column, f"it is outside the range of type {field.type}")
        big = whole and bool((np.abs(numbers[~missing]) >= _EXACT_DOUBLE).any())
    elif field.type != "boolean":
        infinite = np.isinf(numbers)
        if infinite.any():
            faults.add(infinite, column, "infinity is not a number that a model takes")
    return numbers, big


def _check(field: Field, column: str, values: Any, faults: _Faults) -> None:
    if field.type == "any" and field.shape is None:
        return
    if field.required and values.null_count:
        missing = np.asarray(values.is_null().to_numpy(zero_copy_only=False))
        faults.add(missing, column, "there is no value, but the signature requires one")
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if field.type == "datetime" and text:
        wrong = np.array([value is not None and not _is_time(value) for value in values.to_pylist()], bool)
        faults.add(wrong, column, "it is not a time in ISO 8601")
    if field.shape is not None:
        size = math.prod(abs(one) for one in field.shape)
        if len(field.shape) == 1 and size and -1 not in field.shape:
            lengths = np.asarray(
                pc.fill_null(pc.call_function("list_value_length", [values]), size).to_numpy(
                    zero_copy_only=False
                )
            )
            faults.add(lengths != size, column, f"it does not have {size} values")


def _is_time(text: str) -> bool:
    try:
        time.parse(text)
    except ValueError:
        return False
    return True


def _objects(field: Field, values: Any) -> list[Any]:
    kind = values.type
    if field.type == "datetime" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return [None if value is None else value.isoformat() for value in values.to_pylist()]
    if field.type == "binary" and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
    if pa.types.is_floating(kind):
        found = values.to_pylist()
        if field.type in _RANGES:
            return [None if value is None or math.isnan(value) else int(value) for value in found]
        return [None if value is None or math.isnan(value) else value for value in found]
    if field.type in ("float", "double") and pa.types.is_integer(kind):
        return pc.cast(values, pa.float64(), safe=False).to_pylist()
    return values.to_pylist()
