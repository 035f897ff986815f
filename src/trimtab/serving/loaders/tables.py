"""Rows as models take them: arrays where those do, data frames only where they must; and arrays back to outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.loaders import Rows
from trimtab.serving.routes import Field, Signature

_DTYPES: dict[str, Any] = {
    "boolean": np.bool_,
    "integer": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
}
_DATATYPES = {
    "b1": "BOOL",
    "i1": "INT8",
    "i2": "INT16",
    "i4": "INT32",
    "i8": "INT64",
    "u1": "UINT8",
    "u2": "UINT16",
    "u4": "UINT32",
    "u8": "UINT64",
    "f2": "FP16",
    "f4": "FP32",
    "f8": "FP64",
}


def unpacked(packed: bytes, rows: int) -> np.ndarray:
    """Return packed columns as float64 (rows, columns)."""
    values = np.frombuffer(packed, "<f8")
    return values.reshape(1, -1) if rows == 1 else values.reshape(-1, rows).T


def matrix(rows: Rows, names: Sequence[str]) -> np.ndarray:
    """Return the rows as float64 (rows, columns), missing values as NaN; raises ValueError where one is no number."""
    if rows.matrix is not None:
        return rows.matrix
    assert rows.columns is not None
    columns = [column(rows.columns, name) for name in names] if names else list(rows.columns.values())
    try:
        return np.array(columns, dtype=np.float64).T
    except (TypeError, ValueError):
        for name, values in rows.columns.items():
            try:
                np.array(values, dtype=np.float64)
            except (TypeError, ValueError):
                raise ValueError(f"column {name!r} has a value that is no number") from None
        raise


def objects(rows: Rows, names: Sequence[str]) -> np.ndarray:
    """Return columns of text and numbers as an array of objects (rows, columns), missing values as None."""
    assert rows.columns is not None, "text never comes packed"
    table = np.empty((rows.count, len(names)), dtype=object)
    for at, name in enumerate(names):
        table[:, at] = column(rows.columns, name)
    return table


def frame(rows: Rows, names: Sequence[str], signature: Signature | None) -> Any:
    """Return the rows as a pandas frame with the signature's types, where missing values do not forbid them."""
    import pandas as pd

    fields = {field.name: field for field in signature.inputs} if signature else {}
    if rows.matrix is not None:
        series = {name: _cast(rows.matrix[:, at], fields.get(name)) for at, name in enumerate(names)}
        return pd.DataFrame(series)
    assert rows.columns is not None
    chosen = {name: column(rows.columns, name) for name in names} if names else rows.columns
    data: dict[str, Any] = {}
    for name, values in chosen.items():
        field = fields.get(name)
        if field is not None and field.type in _DTYPES and field.shape is None:
            data[name] = _cast(np.array([np.nan if value is None else value for value in values]), field)
        elif field is not None and field.type == "datetime":
            data[name] = pd.to_datetime(values)
        else:
            data[name] = values
    return pd.DataFrame(data)


def _cast(values: np.ndarray, field: Field | None) -> np.ndarray:
    dtype = _DTYPES.get(field.type) if field is not None else None
    if dtype is None or values.dtype == dtype:
        return values
    if values.dtype.kind == "f" and np.dtype(dtype).kind != "f" and np.isnan(values).any():
        return values
    return values.astype(dtype)


def column(columns: dict[str, list[Any]], name: str) -> list[Any]:
    """Return a column; raises ValueError naming it where it is missing."""
    values = columns.get(name)
    if values is None:
        raise ValueError(f"column {name!r} is missing")
    return values


def missing(rows: Rows, names: Sequence[str], *, only: Sequence[str] = ()) -> str:
    """Return which column has the first missing value, in words, or nothing; of all columns, or of some."""
    if rows.matrix is not None:
        gaps = np.isnan(rows.matrix)
        if not gaps.any():
            return ""
        if only:
            gaps[:, [at for at, name in enumerate(names) if name not in only]] = False
        found = np.argwhere(gaps)
        if len(found):
            row, at = found[0]
            return f"column {names[at]!r}, row {row} is missing, and this model takes no missing values"
        return ""
    for name, values in (rows.columns or {}).items():
        if None in values and (not only or name in only):
            return f"column {name!r}, row {values.index(None)} is missing, and this model takes no missing values"
    return ""


def output(name: str, values: Any) -> Output:
    """Return an array, one item per row, as an output."""
    array = values if type(values) is np.ndarray else np.asarray(values)
    if array.ndim == 1 and (datatype := _DATATYPES.get(array.dtype.str[1:])):
        return Output(name, datatype, [len(array)], array.tolist())
    if array.ndim == 0:
        array = array.reshape(1)
    datatype = _DATATYPES.get(array.dtype.str[1:], "BYTES")
    if array.dtype.kind in "mM":
        array = array.astype(str)
    return Output(name, datatype, list(array.shape), array.ravel().tolist())
