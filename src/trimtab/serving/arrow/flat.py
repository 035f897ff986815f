"""Flatbuffers, as much of them as Arrow's messages need: tables, vectors, strings and structs.

The encoding: https://flatbuffers.dev/internals/
"""

import struct
from collections.abc import Sequence
from typing import Any

from trimtab.kernel.errors import Invalid

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_SIZES = {"q": 8, "i": 4, "I": 4, "h": 2, "B": 1}
_MAX_ITEMS = 1 << 16


class BadArrow(Invalid):
    """Bytes that are no Arrow table, or one that contradicts itself."""

    code = "bad-arrow"


class Table:
    """One table of a buffer. Every access raises BadArrow where it would leave the buffer."""

    __slots__ = ("_at", "_buffer", "_slots", "_vtable")

    def __init__(self, buffer: memoryview, at: int) -> None:
        self._buffer = buffer
        self._at = at
        self._vtable = at - _read(_I32, buffer, at)
        self._slots = (_read(_U16, buffer, self._vtable) - 4) // 2

    @classmethod
    def root(cls, buffer: memoryview) -> "Table":
        return cls(buffer, _read(_U32, buffer, 0))

    def _place(self, slot: int) -> int:
        if slot >= self._slots:
            return 0
        offset = _read(_U16, self._buffer, self._vtable + 4 + 2 * slot)
        return self._at + offset if offset else 0

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """Return a number of a `struct` code."""
        place = self._place(slot)
        return _read(struct.Struct("<" + code), self._buffer, place) if place else default

    def has(self, slot: int) -> bool:
        return self._place(slot) != 0

    def table(self, slot: int) -> "Table | None":
        place = self._place(slot)
        return Table(self._buffer, self._follow(place)) if place else None

    def text(self, slot: int) -> str:
        place = self._place(slot)
        if not place:
            return ""
        at = self._follow(place)
        size = _read(_U32, self._buffer, at)
        if size > len(self._buffer) - at - 4:
            raise BadArrow("the table's metadata is cut off")
        try:
            return bytes(self._buffer[at + 4 : at + 4 + size]).decode()
        except UnicodeDecodeError:
            raise BadArrow("a name in the table's metadata is not UTF-8") from None

    def tables(self, slot: int) -> "list[Table]":
        at, count = self._vector(slot, 4)
        return [Table(self._buffer, self._follow(at + 4 * index)) for index in range(count)]

    def structs(self, slot: int, layout: str) -> tuple[tuple[Any, ...], ...]:
        """Return a vector of structs of one `struct` layout."""
        one = struct.Struct("<" + layout)
        at, count = self._vector(slot, one.size)
        return tuple(one.iter_unpack(self._buffer[at : at + count * one.size]))

    def _vector(self, slot: int, size: int) -> tuple[int, int]:
        place = self._place(slot)
        if not place:
            return 0, 0
        at = self._follow(place)
        count = _read(_U32, self._buffer, at)
        if count > _MAX_ITEMS or count * size > len(self._buffer) - at - 4:
            raise BadArrow("the table's metadata is cut off")
        return at + 4, count

    def _follow(self, place: int) -> int:
        return place + _read(_U32, self._buffer, place)


def _read(layout: struct.Struct, buffer: memoryview, at: int) -> int:
    if at < 0 or at + layout.size > len(buffer):
        raise BadArrow("the table's metadata is cut off")
    return layout.unpack_from(buffer, at)[0]


class Builder:
    """Writes a buffer from its root on. Places of offsets are remembered by the caller and filled by what comes there."""

    def __init__(self) -> None:
        self.buffer = bytearray(4)

    def table(self, at: int, *fields: tuple[str, int] | None) -> list[int]:
        """Write a table where the offset at ``at`` points, and return the place of each field; ``I`` is an offset."""
        sizes = [(_SIZES[field[0]] if field else 0) for field in fields]
        place, places = 4, [0] * len(fields)
        for index in sorted(range(len(fields)), key=lambda one: -sizes[one]):
            if sizes[index]:
                places[index] = place
                place += sizes[index]
        vtable_size = 4 + 2 * len(fields)
        self._pad(8, vtable_size + 4)  # the first field, of 8 bytes if any has, is aligned
        vtable = len(self.buffer)
        self.buffer += struct.pack(f"<HH{len(fields)}H", vtable_size, place, *places)
        start = len(self.buffer)
        self._point(at, start)
        self.buffer += _I32.pack(start - vtable)
        self.buffer += bytes(place - 4)
        for index, field in enumerate(fields):
            if field:
                struct.pack_into("<" + field[0], self.buffer, start + places[index], field[1])
        return [start + one for one in places]

    def text(self, at: int, value: str) -> None:
        self._pad(4)
        content = value.encode("utf-8", "replace")
        self._point(at, len(self.buffer))
        self.buffer += _U32.pack(len(content)) + content + b"\0"

    def offsets(self, at: int, count: int) -> list[int]:
        """Write a vector of offsets and return their places."""
        self._pad(4)
        self._point(at, len(self.buffer))
        self.buffer += _U32.pack(count)
        start = len(self.buffer)
        self.buffer += bytes(4 * count)
        return [start + 4 * index for index in range(count)]

    def structs(self, at: int, layout: str, values: Sequence[tuple[int, ...]]) -> None:
        """Write a vector of structs of one `struct` layout, aligned to 8 bytes."""
        self._pad(8, 4)
        self._point(at, len(self.buffer))
        self.buffer += _U32.pack(len(values))
        self.buffer += b"".join(struct.pack("<" + layout, *value) for value in values)

    def finish(self) -> bytes:
        self._pad(8)
        return bytes(self.buffer)

    def _point(self, at: int, place: int) -> None:
        _U32.pack_into(self.buffer, at, place - at)

    def _pad(self, alignment: int, before: int = 0) -> None:
        """Fill up so that what comes after so many more bytes is aligned."""
        self.buffer += bytes(-(len(self.buffer) + before) % alignment)
