"""Writes outputs as Arrow streams and files: one batch of plain columns, lists of fixed size where a row has several."""

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from trimtab.serving.arrow.flat import Builder
from trimtab.serving.arrow.reading import FILE_MAGIC
from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelFailed
from trimtab.serving.protocols import tensors

_V5 = 4
_SCHEMA, _BATCH = 1, 3
_END = b"\xff\xff\xff\xff\0\0\0\0"
_INT, _FLOAT, _UTF8, _BOOL, _FIXED_LIST = 2, 3, 5, 6, 16
_FLOATS = {"FP16": 0, "FP32": 1, "FP64": 2}


class _Type(NamedTuple):
    """A column: its name, its data type in Open Inference, and how many values a row has where it is a list, else 0."""

    name: str
    datatype: str
    width: int


def stream(outputs: Sequence[Output]) -> bytes:
    """Return an Arrow stream with a column for each output."""
    types, schema = _types(outputs)
    return b"".join((schema, *_batch(types, outputs)[0], _END))


def file(outputs: Sequence[Output]) -> bytes:
    """Return an Arrow file, which is Feather's second version too, with a column for each output."""
    types, schema = _types(outputs)
    parts, metadata_bytes, body_bytes = _batch(types, outputs)
    footer = Builder()
    places = footer.table(0, ("h", _V5), ("I", 0), None, ("I", 0))
    _write_schema(footer, places[1], types)
    block = (len(FILE_MAGIC) + len(schema), metadata_bytes, 0, body_bytes)
    footer.structs(places[3], "qiiq", [block])
    tail = footer.finish()
    return b"".join((FILE_MAGIC, schema, *parts, _END, tail, struct.pack("<i", len(tail)), b"ARROW1"))


def _types(outputs: Sequence[Output]) -> tuple[tuple[_Type, ...], bytes]:
    types = tuple(
        _Type(one.name, one.datatype, math.prod(one.shape[1:]) if len(one.shape) > 1 else 0)
        for one in outputs
    )
    return types, _schema(types)


@lru_cache(64)
def _schema(types: tuple[_Type, ...]) -> bytes:
    builder = Builder()
    message = builder.table(0, ("h", _V5), ("B", _SCHEMA), ("I", 0), ("q", 0))
    _write_schema(builder, message[2], types)
    return _framed(builder.finish())


def _write_schema(builder: Builder, at: int, types: Sequence[_Type]) -> None:
    schema = builder.table(at, None, ("I", 0))
    for place, one in zip(builder.offsets(schema[1], len(types)), types, strict=True):
        if not one.width:
            _write_field(builder, place, one.name, one.datatype)
            continue
        field = builder.table(place, ("I", 0), ("B", 1), ("B", _FIXED_LIST), ("I", 0), None, ("I", 0))
        builder.text(field[0], one.name)
        builder.table(field[3], ("i", one.width))
        _write_field(builder, builder.offsets(field[5], 1)[0], "item", one.datatype)


def _write_field(builder: Builder, at: int, name: str, datatype: str) -> None:
    kind = {"BOOL": _BOOL, "BYTES": _UTF8}.get(datatype) or (_FLOAT if datatype in _FLOATS else _INT)
    field = builder.table(at, ("I", 0), ("B", 1), ("B", kind), ("I", 0), None, ("I", 0))
    builder.text(field[0], name)
    if kind == _FLOAT:
        builder.table(field[3], ("h", _FLOATS[datatype]))
    elif kind == _INT:
        builder.table(field[3], ("i", int(datatype.lstrip("UINT"))), ("B", int(not datatype.startswith("U"))))
    else:
        builder.table(field[3])
    builder.offsets(field[5], 0)


def _framed(metadata: bytes) -> bytes:
    return b"\xff\xff\xff\xff" + struct.pack("<I", len(metadata)) + metadata


def _batch(types: Sequence[_Type], outputs: Sequence[Output]) -> tuple[list[bytes], int, int]:
    """Return a batch's parts, and the bytes of its metadata with its frame and of its body."""
    rows = outputs[0].shape[0]
    nodes: list[tuple[int, int]] = []
    buffers: list[bytes] = []
    for one, output in zip(types, outputs, strict=True):
        if one.width:
            nodes.append((rows, 0))
            buffers.append(b"")
        validity, parts = _values(output)
        count = len(output.data)
        nodes.append((count, output.data.count(None) if validity else 0))
        buffers += (validity, *parts)
    body: list[bytes] = []
    places: list[tuple[int, int]] = []
    at = 0
    for part in buffers:
        places.append((at, len(part)))
        padding = -len(part) % 8
        body += (part, bytes(padding))
        at += len(part) + padding
    head = _batch_head(rows, at, tuple(nodes), tuple(places))
    return [head, *body], len(head), at


@lru_cache(64)
def _batch_head(
    rows: int, size: int, nodes: tuple[tuple[int, int], ...], places: tuple[tuple[int, int], ...]
) -> bytes:
    """Return a batch's metadata with its frame; answers of the same size have the same."""
    builder = Builder()
    message = builder.table(0, ("h", _V5), ("B", _BATCH), ("I", 0), ("q", size))
    batch = builder.table(message[2], ("q", rows), ("I", 0), ("I", 0))
    builder.structs(batch[1], "qq", nodes)
    builder.structs(batch[2], "qq", places)
    return _framed(builder.finish())


def _values(output: Output) -> tuple[bytes, list[bytes]]:
    """Return an output's validity, empty where no value is missing, and the buffers of its values."""
    data = output.data
    if output.datatype not in ("BYTES", "BOOL"):
        content = tensors.numbers(output.datatype, data)
        if content is not None:
            return b"", [content]
    validity = _packed_bits([value is not None for value in data]) if None in data else b""
    if output.datatype == "BYTES":
        items = [b"" if value is None else tensors.bytes_of(value) for value in data]
        ends = [0, *accumulate(map(len, items))]
        return validity, [struct.pack(f"<{len(ends)}i", *ends), b"".join(items)]
    if output.datatype == "BOOL":
        return validity, [_packed_bits([bool(value) for value in data])]
    filled = [0 if value is None else value for value in data]
    content = tensors.numbers(output.datatype, filled)
    if content is None:
        raise ModelFailed(f"output {output.name!r} has values that are no {output.datatype}")
    return validity, [content]


def _packed_bits(values: list[bool]) -> bytes:
    import numpy as np

    return np.packbits(np.array(values, "?"), bitorder="little").tobytes()
