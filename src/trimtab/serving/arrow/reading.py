"""Reads tables from Arrow streams and files: plain columns as numpy arrays over the body, without a copy."""

import struct
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.serving.arrow.flat import BadArrow, Table

FILE_MAGIC = b"ARROW1\0\0"

_PREFIX = struct.Struct("<II")
_CONTINUES = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_MAX_FIELDS = 10_000
_MAX_DEPTH = 8
_MAX_MESSAGES = 4096
_MAX_KEPT_BYTES = 1 << 14

_NULL, _INT, _FLOAT, _BINARY, _UTF8, _BOOL, _DATE, _TIMESTAMP = 1, 2, 3, 4, 5, 6, 8, 10
_DECIMAL, _TIME, _INTERVAL, _DURATION, _FIXED_BINARY = 7, 9, 11, 18, 15
_LIST, _STRUCT, _FIXED_LIST, _MAP, _LARGE_BINARY, _LARGE_UTF8, _LARGE_LIST = 12, 13, 16, 17, 19, 20, 21
_UNITS = ("s", "ms", "us", "ns")
_BUFFERS = {
    _NULL: 0,
    _INT: 2,
    _FLOAT: 2,
    _BOOL: 2,
    _DATE: 2,
    _TIMESTAMP: 2,
    _DECIMAL: 2,
    _TIME: 2,
    _INTERVAL: 2,
    _DURATION: 2,
    _FIXED_BINARY: 2,
    _BINARY: 3,
    _UTF8: 3,
    _LARGE_BINARY: 3,
    _LARGE_UTF8: 3,
    _LIST: 2,
    _LARGE_LIST: 2,
    _MAP: 2,
    _FIXED_LIST: 1,
    _STRUCT: 1,
}
"""Buffers of a column itself by its type, its children's not counted."""


class Foreign(Exception):
    """A table that is right but not plain: compressed, or with a column that is encoded in another way."""


class Column(NamedTuple):
    """One column of one batch: numbers or booleans as a numpy array, else a list; ``missing`` marks the nulls."""

    values: Any
    missing: Any = None

    def as_list(self) -> list[Any]:
        values = self.values if isinstance(self.values, list) else self.values.tolist()
        if self.missing is None:
            return values
        return [None if gone else value for value, gone in zip(values, self.missing, strict=True)]


class _Field(NamedTuple):
    name: str
    kind: int
    encoded: bool
    dtype: str
    zone: bool
    nodes: int
    buffers: int
    """How many nodes and buffers it has with all that is in it; buffers below 0 where that cannot be said."""


class _Message(NamedTuple):
    """One message's metadata: of a schema its fields, of a batch its rows and where its columns lie."""

    kind: int
    length: int
    fields: tuple[_Field, ...] = ()
    rows: int = 0
    nodes: tuple[tuple[int, int], ...] = ()
    buffers: tuple[tuple[int, int], ...] = ()
    compressed: bool = False


def read(
    body: bytes, wanted: Collection[str] | None, *, max_rows: int, max_values: int
) -> dict[str, list[Column]]:
    """Return the wanted columns, or all, each as the parts that the batches have of it.

    Raises BadArrow where the bytes contradict themselves, TooLarge past the limits, Foreign where it is not plain.
    """
    fields: tuple[_Field, ...] | None = None
    found: dict[str, list[Column]] = {}
    total = 0
    for message, content in _messages(memoryview(body)):
        if message.kind == _SCHEMA:
            if fields is not None:
                raise BadArrow("the table has two schemas")
            fields = message.fields
            found = _found(fields, wanted)
        elif fields is None:
            raise BadArrow("the table does not begin with its schema")
        elif message.kind == _BATCH:
            rows = message.rows
            if rows < 0:
                raise BadArrow("a batch has fewer rows than none")
            total += rows
            if total > max_rows or total * max(1, len(found)) > max_values:
                raise TooLarge(
                    f"a request has {max_rows} rows and {max_values} values at most; send fewer rows at once"
                )
            if rows:
                for name, column in _batch(fields, message, content, found):
                    found[name].append(column)
    if fields is None:
        raise BadArrow("the body has no Arrow table in it")
    return found


def _found(fields: tuple[_Field, ...], wanted: Collection[str] | None) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = {}
    for field in fields:
        if wanted is None or field.name in wanted:
            if field.name in found:
                raise BadArrow(f"column {field.name!r} is given twice", field=field.name)
            found[field.name] = []
    return found


def _messages(body: memoryview) -> Iterator[tuple[_Message, memoryview]]:
    """Yield each message and its content."""
    count = 0
    place = len(FILE_MAGIC) if bytes(body[: len(FILE_MAGIC)]) == FILE_MAGIC else 0
    while place + _PREFIX.size <= len(body):
        marker, size = _PREFIX.unpack_from(body, place)
        if marker != _CONTINUES:
            raise BadArrow("the body is not an Arrow stream or file")
        if size == 0:
            return
        count += 1
        if count > _MAX_MESSAGES:
            raise TooLarge(f"a table has {_MAX_MESSAGES} batches at most; send fewer, larger ones")
        place += _PREFIX.size
        if size > len(body) - place:
            raise BadArrow("the table is cut off")
        metadata = bytes(body[place : place + size])
        place += size
        message = _kept(metadata) if size <= _MAX_KEPT_BYTES else _message(metadata)
        if not 0 <= message.length <= len(body) - place:
            raise BadArrow("the table is cut off")
        yield message, body[place : place + message.length]
        place += message.length


@lru_cache(256)
def _kept(metadata: bytes) -> _Message:
    """Return what `_message` does; clients send the same metadata again and again."""
    return _message(metadata)


def _message(metadata: bytes) -> _Message:
    message = Table.root(memoryview(metadata))
    kind, length, header = message.number(1, "B"), message.number(3, "q"), message.table(2)
    if header is None:
        raise BadArrow("a message has no header")
    if kind == _SCHEMA:
        if header.number(0, "h") != 0:
            raise BadArrow("the table is big-endian")
        left = [_MAX_FIELDS]
        return _Message(kind, length, tuple(_field(one, 0, left) for one in header.tables(1)))
    if kind == _BATCH:
        nodes, buffers = header.structs(1, "qq"), header.structs(2, "qq")
        return _Message(kind, length, (), header.number(0, "q"), nodes, buffers, header.has(3))
    if kind != _DICTIONARY:
        raise BadArrow("the stream has a message that belongs to no table")
    return _Message(kind, length)


def _field(field: Table, depth: int, left: list[int]) -> _Field:
    left[0] -= 1
    if depth > _MAX_DEPTH or left[0] < 0:
        raise BadArrow("the table has too many columns, or they are nested too deeply")
    kind = field.number(2, "B")
    name = field.text(0)
    if field.has(4):  # by a dictionary: a column of indices
        return _Field(name, kind, encoded=True, dtype="", zone=False, nodes=1, buffers=2)
    own = _BUFFERS.get(kind, -1)
    children = [_field(child, depth + 1, left) for child in field.tables(5)]
    buffers = own + sum(child.buffers for child in children)
    if own < 0 or any(child.buffers < 0 for child in children):
        buffers = -1
    dtype, zone = _dtype(kind, field.table(3))
    nodes = 1 + sum(child.nodes for child in children)
    return _Field(name, kind, encoded=False, dtype=dtype, zone=zone, nodes=nodes, buffers=buffers)


def _dtype(kind: int, described: Table | None) -> tuple[str, bool]:
    """Return numpy's name of a fixed-size type, or nothing, and whether it is a time with a zone."""
    if described is None:
        return "", False
    if kind == _INT:
        bits = described.number(0, "i")
        return (
            f"<{'i' if described.number(1, 'B') else 'u'}{bits // 8}" if bits in (8, 16, 32, 64) else ""
        ), False
    if kind == _FLOAT:
        return {0: "<f2", 1: "<f4", 2: "<f8"}.get(described.number(0, "h"), ""), False
    if kind == _TIMESTAMP:
        unit = described.number(0, "h")
        return (f"<M8[{_UNITS[unit]}]" if 0 <= unit < len(_UNITS) else ""), bool(described.text(1))
    if kind == _DATE:
        return ("<M8[ms]" if described.number(0, "h", 1) == 1 else "days"), False
    return "", False


def _batch(
    fields: tuple[_Field, ...], message: _Message, content: memoryview, wanted: Collection[str]
) -> Iterator[tuple[str, Column]]:
    """Yield the wanted columns of one record batch."""
    if message.compressed:
        raise Foreign("the table is compressed")
    nodes, buffers, rows = message.nodes, message.buffers, message.rows
    node = buffer = 0
    for field in fields:
        if field.buffers < 0:
            raise Foreign(f"column {field.name!r} is of a type that is laid out in another way")
        if node + field.nodes > len(nodes) or buffer + field.buffers > len(buffers):
            raise BadArrow(f"column {field.name!r} has fewer buffers than its type", field=field.name)
        if field.name in wanted:
            _check_plain(field)
            if nodes[node][0] != rows:
                raise BadArrow(
                    f"column {field.name!r} has {nodes[node][0]} rows, the batch {rows}", field=field.name
                )
            parts = [_slice(field, content, *one) for one in buffers[buffer : buffer + field.buffers]]
            yield field.name, _column(field, parts, rows, nulls=nodes[node][1])
        node += field.nodes
        buffer += field.buffers


def _check_plain(field: _Field) -> None:
    if field.encoded or field.kind in (_DECIMAL, _TIME, _INTERVAL, _DURATION, _FIXED_BINARY):
        raise Foreign(f"column {field.name!r} is encoded")
    if field.nodes > 1 or field.kind in (_LIST, _LARGE_LIST, _MAP, _FIXED_LIST, _STRUCT):
        raise Invalid(
            f"column {field.name!r} is nested, which is not read from tables; send it as JSON or as a tensor",
            field=field.name,
        )


def _slice(field: _Field, content: memoryview, offset: int, length: int) -> memoryview:
    if offset < 0 or length < 0 or offset > len(content) or length > len(content) - offset:
        raise BadArrow(f"column {field.name!r} lies outside of its batch", field=field.name)
    return content[offset : offset + length]


def _column(field: _Field, parts: list[memoryview], rows: int, *, nulls: int) -> Column:
    import numpy as np

    if field.kind == _NULL:
        return Column([None] * rows)
    missing = None
    if nulls and len(parts[0]):
        missing = ~_bits(field, parts[0], rows).view("?")
    if field.kind == _BOOL:
        return Column(_bits(field, parts[1], rows).view("?"), missing)
    if field.kind in (_INT, _FLOAT) and field.dtype:
        return Column(_numbers(field, parts[1], field.dtype, rows), missing)
    if field.kind in (_UTF8, _BINARY, _LARGE_UTF8, _LARGE_BINARY):
        return Column(_texts(field, parts, rows), missing)
    if field.kind in (_TIMESTAMP, _DATE) and field.dtype:
        if field.dtype == "days":
            times: Any = _numbers(field, parts[1], "<i4", rows).astype("<i8").view("<M8[D]").astype("<M8[s]")
        else:
            times = _numbers(field, parts[1], field.dtype, rows)
        try:
            texts = np.datetime_as_string(times, timezone="UTC" if field.zone else "naive")
        except (ValueError, OverflowError):
            raise Invalid(
                f"column {field.name!r} has a time that no calendar has", field=field.name
            ) from None
        return Column(texts.tolist(), missing)
    raise Foreign(f"column {field.name!r} is of another type")


def _numbers(field: _Field, part: memoryview, dtype: str, rows: int) -> Any:
    import numpy as np

    if len(part) < rows * np.dtype(dtype).itemsize:
        raise BadArrow(f"column {field.name!r} has fewer values than its batch rows", field=field.name)
    return np.frombuffer(part, dtype, count=rows)


def _bits(field: _Field, part: memoryview, rows: int) -> Any:
    import numpy as np

    if len(part) < (rows + 7) // 8:
        raise BadArrow(f"column {field.name!r} has fewer values than its batch rows", field=field.name)
    return np.unpackbits(np.frombuffer(part, "u1", count=(rows + 7) // 8), count=rows, bitorder="little")


def _texts(field: _Field, parts: list[memoryview], rows: int) -> list[Any]:
    """Return text, or bytes of a binary column."""
    large = field.kind in (_LARGE_UTF8, _LARGE_BINARY)
    offsets = _numbers(field, parts[1], "<i8" if large else "<i4", rows + 1)
    if int(offsets[0]) < 0 or int(offsets[-1]) > len(parts[2]) or bool((offsets[1:] < offsets[:-1]).any()):
        raise BadArrow(f"column {field.name!r} has offsets outside of its values", field=field.name)
    places: list[int] = offsets.tolist()
    content = bytes(parts[2])
    if field.kind in (_BINARY, _LARGE_BINARY):
        return [content[start:end] for start, end in pairwise(places)]
    try:
        return [content[start:end].decode() for start, end in pairwise(places)]
    except UnicodeDecodeError:
        raise BadArrow(f"column {field.name!r} has text that is not UTF-8", field=field.name) from None
