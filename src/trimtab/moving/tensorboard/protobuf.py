"""The fields of event files in the kernel's wire format: what a value must be, and how it is written."""

import struct
from collections.abc import Iterator
from typing import cast

from trimtab.kernel import protobuf
from trimtab.kernel.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    BadProtobuf,
    block,
    count,
    varint,
    varint_at,
)

__all__ = ["BYTES", "FIXED32", "FIXED64", "VARINT", "BadProtobuf", "block", "count", "varint", "varint_at"]

Value = int | memoryview


def fields(data: memoryview) -> Iterator[tuple[int, int, Value]]:
    """Yield (number, wire type, value) of a message in its order; raises BadProtobuf.

    Numbers come unsigned, those of a fixed width as the whole number of their bytes.
    """
    return cast("Iterator[tuple[int, int, Value]]", protobuf.fields(data))


def signed(value: Value) -> int:
    """Return a varint as the signed 64-bit number that it stands for; raises BadProtobuf for other values."""
    return protobuf.signed(_number(value))


def delimited(value: Value) -> memoryview:
    """Return the bytes of a value; raises BadProtobuf for a number."""
    if isinstance(value, int):
        raise BadProtobuf("A number stands where bytes should be.")
    return value


def text(value: Value) -> str:
    """Return a value as text, with marks in the place of what is none: one bad letter must not cost a curve."""
    return bytes(delimited(value)).decode(errors="replace")


def double(value: Value) -> float:
    return protobuf.double(_number(value))


def single(value: Value) -> float:
    return protobuf.single(_number(value))


def doubles(value: Value) -> list[float]:
    """Return a packed list of doubles, or the one double of a list that is not packed."""
    if isinstance(value, int):
        return [protobuf.double(value)]
    if len(value) % 8:
        raise BadProtobuf("A list of doubles has an odd length.")
    return list(struct.unpack(f"<{len(value) // 8}d", value))


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise BadProtobuf("Bytes stand where a number should be.")
    return value


def put_bytes(number: int, value: bytes | str) -> bytes:
    return block(number, value.encode() if isinstance(value, str) else value)


def put_double(number: int, value: float) -> bytes:
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)


def put_single(number: int, value: float) -> bytes:
    return varint(number << 3 | FIXED32) + struct.pack("<f", value)
