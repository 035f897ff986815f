"""The rows of one request between protocol and model: named columns, and what the model answered for them."""

import sys
from array import array
from collections.abc import Sequence
from math import isnan
from typing import Any

import msgspec

from trimtab.serving.routes import Field


class Batch(msgspec.Struct):
    """The checked rows of one request: ``columns`` maps names, in the signature's order, to one value per row.

    Where a protocol brings arrays of numbers, ``columns`` is empty and ``packed`` has the values as little-endian
    float64, column after column in the signature's order, missing ones as NaN.
    """

    columns: dict[str, list[Any]]
    rows: int
    id: str | int | None = None
    parameters: dict[str, Any] | None = None
    outputs: tuple[str, ...] | None = None
    packed: bytes | None = None
    answer: Any = None
    """How the request wants its answer worded: known to its protocol alone."""

    @property
    def explain(self) -> bool:
        """Whether the request asks what each column added to the score."""
        return self.parameters is not None and self.parameters.get("explain") is True

    def by_name(self, fields: Sequence[Field]) -> dict[str, list[Any]]:
        """Return the columns as lists, also where they came packed."""
        return self.columns if self.packed is None else unpack(self.packed, fields)

    def first(self, name: str, fields: Sequence[Field]) -> Any:
        """Return a column's value in the first row, or None where there is none."""
        if self.packed is None:
            values = self.columns.get(name)
            return values[0] if values else None
        for at, field in enumerate(fields):
            if field.name == name:
                return packed_column(self.packed, at, rows=self.rows, kind=field.type)[0]
        return None


def unpack(packed: bytes, fields: Sequence[Field]) -> dict[str, list[Any]]:
    """Return packed columns as lists of their fields' types; what is missing is None."""
    values = _doubles(packed)
    rows = len(values) // len(fields)
    return {
        field.name: _typed(values[at * rows : (at + 1) * rows], field.type) for at, field in enumerate(fields)
    }


def packed_column(packed: bytes, at: int, *, rows: int, kind: str) -> list[Any]:
    """Return one of packed columns as a list of its field's type; what is missing is None."""
    return _typed(_doubles(packed[at * rows * 8 : (at + 1) * rows * 8]), kind)


def _doubles(packed: bytes) -> "array[float]":
    values = array("d", packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _typed(values: "array[float]", kind: str) -> list[Any]:
    read = {"boolean": bool, "integer": int, "long": int}.get(kind, float)
    return [None if isnan(value) else read(value) for value in values]


class Output(msgspec.Struct, array_like=True):
    """One answer of a model: values flat in row-major order, with the data type's name in Open Inference.

    ``labels`` name the places of the last axis, where they have names.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]
    labels: list[str] = []

    def by_row(self) -> list[Any]:
        """Return one item per row: a value, or a list where a row has several."""
        if len(self.shape) < 2:
            return self.data
        return nest(self.data, self.shape)


def nest(data: list[Any], shape: list[int]) -> list[Any]:
    """Return flat row-major values as nested lists of the shape."""
    if len(shape) < 2:
        return data
    size = 1
    for length in shape[1:]:
        size *= length
    if len(shape) == 2 and size:
        return [data[at : at + size] for at in range(0, shape[0] * size, size)]
    return [nest(data[at * size : (at + 1) * size], shape[1:]) for at in range(shape[0])]


def predictions(outputs: Sequence[Output]) -> list[Any]:
    """Return one item per row: the output named ``predictions``, or objects of all outputs where none has that name."""
    for output in outputs:
        if output.name == "predictions":
            return output.by_row()
    names = [output.name for output in outputs]
    rows = zip(*(output.by_row() for output in outputs), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def explanations(outputs: Sequence[Output]) -> list[dict[str, Any]] | None:
    """Return what each column added to each row's score, by its name, or None where it was not asked for.

    A score of several classes has a list for each column and for the base, one number a class.
    """
    found = {output.name: output for output in outputs}
    if "contributions" not in found:
        return None
    contributions, base = found["contributions"], found["base"]
    explained: list[dict[str, Any]] = []
    for row, start in zip(contributions.by_row(), base.by_row(), strict=True):
        by_column = zip(*row, strict=True) if row and isinstance(row[0], list) else row
        named = zip(contributions.labels, by_column, strict=True)
        explained.append({"scale": base.labels[0], "base": start, "contributions": dict(named)})
    return explained
