"""Reads and writes protobuf's wire format: the fields of a message one after the other, without a schema or a library.

The format is small and fixed (https://protobuf.dev/programming-guides/encoding), and the messages that are spoken here
use a few of its types only; doing it here spares processes a dependency and the memory of its descriptors.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, cast

from trimtab.kernel.errors import Invalid

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED64 = struct.Struct("<Q")
_FIXED32 = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_SINGLE = struct.Struct("<f")


class BadProtobuf(Invalid):
    """Bytes that are no protobuf message."""

    code = "bad-protobuf"


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of each field; a value is an int, or bytes. Raises BadProtobuf.

    Of a memoryview the values are parts of it, and nothing is copied.

    >>> list(fields(bytes.fromhex("089601")))
    [(1, 0, 150)]
    """
    place, end = 0, len(message)
    while place < end:
        key = message[place]
        place += 1
        if key > 0x7F:
            key, place = varint_at(message, place - 1)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise BadProtobuf("A field has the number 0.")
        match kind:
            case 2:
                size, place = varint_at(message, place)
                if size > end - place:
                    raise BadProtobuf("A field is longer than its message.")
                yield number, kind, cast(bytes, message[place : place + size])
                place += size
            case 0:
                value, place = varint_at(message, place)
                yield number, kind, value
            case 1:
                if end - place < 8:
                    raise BadProtobuf("The message is cut off.")
                yield number, kind, _FIXED64.unpack_from(message, place)[0]
                place += 8
            case 5:
                if end - place < 4:
                    raise BadProtobuf("The message is cut off.")
                yield number, kind, _FIXED32.unpack_from(message, place)[0]
                place += 4
            case _:
                raise BadProtobuf(f"The wire type {kind} is none that is in use.")


def signed(value: int) -> int:
    """Return a varint as a signed number of 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: int) -> float:
    """Return eight bytes, read as a number, as the floating-point number that they are."""
    return _DOUBLE.unpack(_FIXED64.pack(value))[0]


def single(value: int) -> float:
    """Return four bytes, read as a number, as the floating-point number that they are; raises BadProtobuf for more."""
    if value > 0xFFFFFFFF:
        raise BadProtobuf("A number is wider than four bytes.")
    return _SINGLE.unpack(_FIXED32.pack(value))[0]


def text(value: int | bytes) -> str:
    """Return a field as text; raises BadProtobuf where it is none."""
    if isinstance(value, int):
        raise BadProtobuf("A number stands where text should be.")
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise BadProtobuf("A text is not UTF-8.") from error


def varints(message: bytes | memoryview) -> list[int]:
    """Return the numbers of a packed field, unsigned; raises BadProtobuf."""
    place, end = 0, len(message)
    found: list[int] = []
    while place < end:
        value = message[place]
        place += 1
        if value > 0x7F:
            value, place = varint_at(message, place - 1)
        found.append(value)
    return found


def varint_at(message: bytes | memoryview, place: int) -> tuple[int, int]:
    """Return the varint at a place and the place after it; raises BadProtobuf."""
    value = shift = 0
    end = len(message)
    while place < end and shift < 70:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
    raise BadProtobuf("A number is cut off or too long.")


def varint(value: int) -> bytes:
    """Return a number from -2^63 to 2^64 as a varint.

    >>> varint(150).hex()
    '9601'
    """
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(number: int, content: bytes | memoryview) -> bytes:
    """Return a field of bytes, text or a message."""
    return b"".join((varint(number << 3 | BYTES), varint(len(content)), content))


def count(number: int, value: int) -> bytes:
    """Return a field with a number, or nothing for 0, which is what is absent."""
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def packed(number: int, values: Iterable[Any]) -> bytes:
    """Return a packed field of numbers."""
    return block(number, b"".join(map(varint, values)))
