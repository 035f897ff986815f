"""The wire format of protocol buffers, as far as event files need it.

A codec of our own: the messages of an event file are ten, their numbers have not changed since 2015, and protobuf's
runtime brings generated modules that must fit its version to the day, in every environment that wants to read a file.
"""

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10
Value = int | memoryview


class Malformed(ValueError):
    """The bytes are no message."""


def fields(data: memoryview) -> Iterator[tuple[int, int, Value]]:
    """Yield (number, wire type, value) of a message in its order; raises Malformed.

    Whole numbers come unsigned; what is fixed or delimited comes as its bytes.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = varint(data, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = varint(data, at)
        elif kind == FIXED64:
            size = 8
        elif kind == FIXED32:
            size = 4
        else:
            raise Malformed(f"wire type {kind}")
        if size > end - at:
            raise Malformed("a field reaches over the end of its message")
        yield number, kind, data[at : at + size]
        at += size


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """Return the whole number at a place and the place after it; raises Malformed."""
    value = shift = 0
    for _ in range(_MOST_VARINT_BYTES):
        if at >= len(data):
            raise Malformed("a number reaches over the end of its message")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Malformed("a number of more than ten bytes")


def signed(value: Value) -> int:
    """Return a varint as the signed 64-bit number that it stands for; raises Malformed for other values."""
    if not isinstance(value, int):
        raise Malformed("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def delimited(value: Value) -> memoryview:
    """Return the bytes of a value; raises Malformed for a number."""
    if isinstance(value, int):
        raise Malformed("bytes were expected")
    return value


def text(value: Value) -> str:
    return bytes(delimited(value)).decode(errors="replace")


def double(value: Value) -> float:
    return _unpacked("<d", value)


def single(value: Value) -> float:
    return _unpacked("<f", value)


def doubles(value: Value) -> list[float]:
    """Return a packed list of doubles, or the one double of a list that is not packed."""
    data = delimited(value)
    if len(data) % 8:
        raise Malformed("a list of doubles has an odd length")
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def _unpacked(form: str, value: Value) -> float:
    data = delimited(value)
    if len(data) != struct.calcsize(form):
        raise Malformed("a number has another width")
    return struct.unpack(form, data)[0]


def put_varint(value: int) -> bytes:
    """Return a whole number, negative ones as their 64-bit complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def put_number(number: int, value: int) -> bytes:
    return put_varint(number << 3 | VARINT) + put_varint(value)


def put_bytes(number: int, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return put_varint(number << 3 | BYTES) + put_varint(len(content)) + content


def put_double(number: int, value: float) -> bytes:
    return put_varint(number << 3 | FIXED64) + struct.pack("<d", value)


def put_single(number: int, value: float) -> bytes:
    return put_varint(number << 3 | FIXED32) + struct.pack("<f", value)
