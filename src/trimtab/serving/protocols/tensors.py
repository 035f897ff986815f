"""Tensors as raw bytes, which the binary extension of Open Inference and gRPC carry: to columns, and from outputs.

Many numbers go to the model as they are, without a Python object for each; numpy is loaded by the first of them.
"""

import base64
import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from trimtab.kernel.errors import Invalid, TooLarge, did_you_mean
from trimtab.serving.batch import Output
from trimtab.serving.routes import Field
from trimtab.serving.schema import Schema

MAX_VALUES = 1 << 22
"""Values in one request at most: as float64 they take 32 MiB, however few bits each had on the way."""

MAX_ROWS = 1 << 18
"""Rows in one request at most, where a row may take next to nothing of the body: each costs its answer and its record."""

LARGE_BYTES = 1 << 20
"""Larger bodies are read beside the event loop."""

FEW_BYTES = 2048
"""Up to so many bytes Python's own numbers are as fast as numpy, and it need not be there."""

MAX_DIMENSIONS = 8

DTYPES = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BF16": "<u2",
}
"""Data types of fixed size, as numpy names them."""

_SIZES = {name: 1 if dtype == "?" else int(dtype[2:]) for name, dtype in DTYPES.items()}
CODES = {
    "BOOL": "B",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP32": "f",
    "FP64": "d",
}
"""Data types as `array` names them, a boolean as a byte."""

_FORMATS = {**CODES, "BOOL": "?", "FP16": "e", "BF16": "H"}
_LENGTH = struct.Struct("<I")
_RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**53), 2**53)}
"""What float64 says exactly of an integer; a long beyond it goes as a Python integer."""


class Tensor(NamedTuple):
    """One input as it came: row-major, little-endian; BYTES as elements after their lengths in four bytes."""

    name: str
    datatype: str
    shape: list[int]
    raw: memoryview

    def check(self) -> int:
        """Return how many values there are; raises Invalid where the shape and the bytes cannot belong together."""
        count = values_in(self.name, self.shape)
        if self.datatype == "BYTES":
            return count
        size = _SIZES.get(self.datatype)
        if size is None:
            hint = did_you_mean(self.datatype, [*DTYPES, "BYTES"])
            raise Invalid(
                f"input {self.name!r} has the unknown datatype {self.datatype!r}.{hint}", field=self.name
            )
        if count * size != len(self.raw):
            raise Invalid(
                f"input {self.name!r} has {len(self.raw)} bytes, but shape {self.shape} of {self.datatype} "
                f"takes {count * size}",
                field=self.name,
            )
        return count

    def array(self) -> Any:
        """Return the numbers as a numpy array of the shape, without a copy; the tensor was checked."""
        import numpy as np

        values: Any = np.frombuffer(self.raw, DTYPES[self.datatype])
        if self.datatype == "BF16":  # the upper half of a float32
            values = (values.astype("<u4") << 16).view("<f4")
        return values.reshape(self.shape)

    def flat(self, field: Field | None) -> list[Any]:
        """Return the values in one list, as JSON would have brought them."""
        if self.datatype != "BYTES":
            count = len(self.raw) // _SIZES[self.datatype]
            values = struct.unpack(f"<{count}{_FORMATS[self.datatype]}", self.raw)
            if self.datatype == "BF16":  # the upper half of a float32
                values = struct.unpack(
                    f"<{count}f", struct.pack(f"<{count}I", *[one << 16 for one in values])
                )
            return list(values)
        binary = field is not None and field.type == "binary"
        return [self._text(at, item, binary=binary) for at, item in enumerate(self._elements())]

    def _elements(self) -> list[bytes]:
        count, raw, place = values_in(self.name, self.shape), self.raw, 0
        found: list[bytes] = []
        while place < len(raw):
            if len(found) == count or len(raw) - place < _LENGTH.size:
                raise Invalid(
                    f"input {self.name!r} has more bytes than its {count} elements", field=self.name
                )
            size = _LENGTH.unpack_from(raw, place)[0]
            place += _LENGTH.size
            if size > len(raw) - place:
                raise Invalid(
                    f"input {self.name!r}: element {len(found)} says that it has {size} bytes, "
                    f"and {len(raw) - place} are left",
                    field=self.name,
                )
            found.append(bytes(raw[place : place + size]))
            place += size
        if len(found) != count:
            raise Invalid(
                f"input {self.name!r} has {len(found)} elements, but shape {self.shape}", field=self.name
            )
        return found

    def _text(self, at: int, item: bytes, *, binary: bool) -> str:
        if binary:
            return base64.b64encode(item).decode()
        try:
            return item.decode()
        except UnicodeDecodeError:
            raise Invalid(f"input {self.name!r}: element {at} is not UTF-8", field=self.name) from None


def is_quick(body_bytes: int) -> bool:
    """Say whether tensors may be read on the event loop: loading numpy there would keep others waiting."""
    return body_bytes <= FEW_BYTES or (body_bytes <= LARGE_BYTES and "numpy" in sys.modules)


def values_in(name: str, shape: Sequence[Any]) -> int:
    """Return how many values a shape has; raises Invalid or TooLarge naming the input."""
    if not shape or len(shape) > MAX_DIMENSIONS or any(type(size) is not int or size < 1 for size in shape):
        raise Invalid(
            f"input {name!r} needs a shape of 1 to {MAX_DIMENSIONS} sizes from 1, [rows] or [rows, ...]",
            field=name,
        )
    count = math.prod(shape)
    if count > MAX_VALUES or shape[0] > MAX_ROWS:
        raise TooLarge(
            f"input {name!r} has more than the {MAX_VALUES} values or {MAX_ROWS} rows of a request",
            field=name,
        )
    return count


def packed(schema: Schema, tensors: Sequence[Tensor], *, matrix: bool) -> bytes | None:
    """Return checked tensors as `Batch.packed`, or None where only the way through lists can say what they are.

    With ``matrix`` the one tensor holds all columns, row after row.
    """
    if not schema.packable or any(tensor.datatype == "BYTES" for tensor in tensors):
        return None
    rows = tensors[0].shape[0]
    if matrix:
        values = tensors[0].array()
        if values.shape[1] != len(schema.names):
            return None
        return pack(schema, dict(zip(schema.names, values.T, strict=True)), rows)
    given: dict[str, Any] = {}
    for tensor in tensors:
        if tensor.name in given or tensor.shape[0] != rows or math.prod(tensor.shape) != rows:
            return None
        given[tensor.name] = tensor.array().reshape(rows)
    return pack(schema, given, rows)


def pack(schema: Schema, given: Mapping[str, Any], rows: int) -> bytes | None:
    """Return numpy columns of numbers or booleans as `Batch.packed`, or None where one is not as its field wants it.

    A column that may be left out is missing in every row. Missing values in float columns are NaN.
    """
    import numpy as np

    if rows * len(schema.fields) > MAX_VALUES:
        raise TooLarge(f"a request has {MAX_VALUES} values at most; send fewer rows at once")
    table = np.empty((len(schema.fields), rows), "<f8")
    doubtful: list[int] = []
    for at, field in enumerate(schema.fields):
        values = given.get(field.name)
        if values is None:
            if field.required:
                return None
            table[at] = math.nan
            continue
        kind = values.dtype.kind
        if (kind == "b") != (field.type == "boolean"):
            return None
        table[at] = values
        if field.type in _RANGES:
            if kind == "f":
                doubtful.append(at)
            elif not _is_in_range(field, values):
                return None
    if not np.isfinite(table).all():  # one look at all of them, which nearly always is enough
        doubtful = list(range(len(schema.fields)))
    if all(_is_as_wanted(schema.fields[at], table[at]) for at in doubtful):
        return table.tobytes()
    return None


def _is_in_range(field: Field, values: Any) -> bool:
    low, high = _RANGES[field.type]
    return int(values.min()) >= low and int(values.max()) <= high


def _is_as_wanted(field: Field, values: Any) -> bool:
    """Say whether numbers in float64 are what a field takes: finite where it is required, whole where it is an integer."""
    import numpy as np

    if field.required:
        if not np.isfinite(values).all():
            return False
    elif np.isinf(values).any():
        return False
    if field.type not in _RANGES:
        return True
    there = values if field.required else values[~np.isnan(values)]
    low, high = _RANGES[field.type]
    if field.type == "long":  # a larger integer may have been rounded to the bound itself
        low, high = low + 1, high - 1
    return bool((there == np.rint(there)).all() and (there >= low).all() and (there <= high).all())


def elements(content: bytes | memoryview) -> list[bytes]:
    """Return the elements of a BYTES tensor that was written by `raw`."""
    found: list[bytes] = []
    place = 0
    while place < len(content):
        size = _LENGTH.unpack_from(content, place)[0]
        place += _LENGTH.size + size
        found.append(bytes(content[place - size : place]))
    return found


def bytes_of(value: Any) -> bytes:
    """Return an element of a BYTES output: text as UTF-8, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode("utf-8", "replace") if isinstance(value, str) else msgspec.json.encode(value)


def raw(output: Output) -> bytes | None:
    """Return an output's values as raw bytes, a missing one as NaN, or None where they have no such form."""
    if output.datatype == "BYTES":
        items = [bytes_of(value) for value in output.data]
        return b"".join([part for item in items for part in (_LENGTH.pack(len(item)), item)])
    content = numbers(output.datatype, output.data)
    if content is None and output.datatype.startswith("FP"):
        filled = [math.nan if value is None else value for value in output.data]
        content = numbers(output.datatype, filled)
    return content


def numbers(datatype: str, data: Sequence[Any]) -> bytes | None:
    """Return numbers or booleans as bytes, or None where one of them is none, or outside of the type."""
    try:
        if datatype == "FP16":
            return struct.pack(f"<{len(data)}e", *data)
        code = CODES.get(datatype)
        if code is None:
            return None
        values: array[Any] = array(code, data)
    except (TypeError, OverflowError, ValueError, struct.error):
        return None
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
