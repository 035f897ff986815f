"""Compacted points: blocks of a metric's columns, each cut into planes of bytes.

Steps and times are kept as differences, times in milliseconds where they are whole ones; a column whose differences are
all the same takes no bytes at all. Of the other columns, the first bytes of all numbers lie side by side, then the
second and so on (as the shuffle filters of HDF5 and Blosc have them). In a long block every plane is kept as suits it: as
one byte where all are the same, compressed where that helps, as it is where nothing does, as with the low bytes of
measured values. So a chart that shows some points of a block reads those, and little is decompressed for it. The planes
of a short block are compressed together, which takes less space.
"""

import struct
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trimtab.domains.tracking.metrics.series import Series, of_one
from trimtab.infra.compression import zstd

MOST_POINTS = 8192
"""Points in a full block: some 50 kB on real curves."""

_HEAD = struct.Struct("<BIHqqqq")
_SHORT, _LONG = 1, 2
"""The versions: all planes compressed together, as they were in all blocks once, and each on its own."""

_LONG_POINTS = 1024

_LEVEL = 1
_UNEVEN = -(2**63)  # in the place of a step that all neighbours share

_ENTRIES = struct.Struct("<8H")
_CONSTANT, _PLAIN, _COMPRESSED = 0, 1, 2
_SIZE_BITS = 14
_SIZE = (1 << _SIZE_BITS) - 1
_WORTH = 0.95  # a plane that compresses less than this is read faster as it is

Planes = Sequence[int | NDArray[np.uint8]]
"""The eight bytes of a column's numbers, lowest first: a byte that all share, or one for each number."""


def encode(step: NDArray[np.int64], at_us: NDArray[np.int64], value: NDArray[np.float64]) -> bytes:
    """Return 1 to `MOST_POINTS` points as a block."""
    unit = 1 if np.any(at_us % 1000) else 1000
    times = at_us // unit
    even_steps, step_differences = _differences(step)
    even_times, time_differences = _differences(times)
    columns = [_shuffled(column) for column in (step_differences, time_differences, value) if column.size]
    version = _SHORT if step.size < _LONG_POINTS else _LONG
    head = _HEAD.pack(version, step.size, unit, int(step[0]), even_steps, int(times[0]), even_times)
    if version == _SHORT:
        return head + zstd.compress(b"".join([planes.tobytes() for planes in columns]), _LEVEL)
    return head + b"".join([_packed(planes) for planes in columns])


class Block:
    """A block that was read: of its columns, only what is asked for is decompressed and put together."""

    def __init__(self, run_no: int, key_no: int, content: bytes) -> None:
        """Raises ValueError for a block of a later version."""
        self._run_no, self._key_no = run_no, key_no
        self._content = content
        version, self._count, self._unit, *ends = _HEAD.unpack_from(content)
        if version not in (_SHORT, _LONG):
            raise ValueError(f"a block of version {version}; this version of Trimtab is older")
        self._short = version == _SHORT
        self._first_step, self._even_steps, self._first_time, self._even_times = ends

    def __len__(self) -> int:
        return self._count

    @cached_property
    def step(self) -> NDArray[np.int64]:
        """The steps of all points."""
        return _column(self._count, self._first_step, self._even_steps, self._planes[0])

    @cached_property
    def at_us(self) -> NDArray[np.int64]:
        """The times of all points, in microseconds."""
        return _column(self._count, self._first_time, self._even_times, self._planes[1]) * self._unit

    @cached_property
    def value(self) -> NDArray[np.float64]:
        """The values of all points."""
        return _together(self._planes[2], self._count).view("<f8")

    def whole(self) -> Series:
        """Return all points."""
        return of_one(self._run_no, self._key_no, self.step, self.at_us, self.value)

    def take(self, rows: NDArray[np.intp]) -> Series:
        """Return some points; ``rows`` rise."""
        steps, times, values = self._planes
        picked = [plane if isinstance(plane, int) else plane[rows] for plane in values]
        return of_one(
            self._run_no,
            self._key_no,
            _picked(rows, self._first_step, self._even_steps, steps),
            _picked(rows, self._first_time, self._even_times, times) * self._unit,
            _together(picked, rows.size).view("<f8"),
        )

    @cached_property
    def _planes(self) -> tuple[Planes, Planes, Planes]:
        lengths = [self._count - 1 if even == _UNEVEN else 0 for even in (self._even_steps, self._even_times)]
        if self._short:
            return self._short_planes([*lengths, self._count])
        place = _HEAD.size
        found: list[Planes] = []
        for length in (*lengths, self._count):
            planes, place = _unpacked(self._content, place) if length else ((), place)
            found.append(planes)
        steps, times, values = found
        return steps, times, values

    def _short_planes(self, lengths: Sequence[int]) -> tuple[Planes, Planes, Planes]:
        piece = np.frombuffer(zstd.decompress(self._content[_HEAD.size :]), np.uint8)
        ends = np.cumsum([8 * length for length in lengths])
        steps, times, values = (
            list(part.reshape(8, -1)) if part.size else () for part in np.split(piece, ends[:-1])
        )
        return steps, times, values


def _differences(column: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """Return the difference that all neighbours share and none, or the mark that they share none and all differences."""
    differences = np.diff(column)
    if not differences.size:
        return 0, differences
    first = int(differences[0])
    if first != _UNEVEN and bool((differences == first).all()):
        return first, differences[:0]
    return _UNEVEN, differences


def _shuffled(column: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the eight planes of a column."""
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    return np.ascontiguousarray(little.view(np.uint8).reshape(-1, 8).T)


def _packed(planes: NDArray[np.uint8]) -> bytes:
    """Return the planes of a column behind eight entries, which say how each is kept and its size."""
    kept = [_kept(plane) for plane in planes]
    entries = [how << _SIZE_BITS | len(body) for how, body in kept]
    return _ENTRIES.pack(*entries) + b"".join([body for _, body in kept])


def _kept(plane: NDArray[np.uint8]) -> tuple[int, bytes]:
    if bool((plane == plane[0]).all()):
        return _CONSTANT, plane[:1].tobytes()
    plain = plane.tobytes()
    compressed = zstd.compress(plain, _LEVEL)
    return (_COMPRESSED, compressed) if len(compressed) < _WORTH * len(plain) else (_PLAIN, plain)


def _unpacked(content: bytes, place: int) -> tuple[Planes, int]:
    """Return the planes of the column that begins at a place, and where it ends."""
    entries = _ENTRIES.unpack_from(content, place)
    place += _ENTRIES.size
    planes: list[int | NDArray[np.uint8]] = []
    for entry in entries:
        kept, size = entry >> _SIZE_BITS, entry & _SIZE
        if kept == _CONSTANT:
            planes.append(content[place])
        elif kept == _PLAIN:
            planes.append(np.frombuffer(content, np.uint8, size, place))
        else:
            planes.append(np.frombuffer(zstd.decompress(content[place : place + size]), np.uint8))
        place += size
    return planes, place


def _together(planes: Planes, count: int) -> NDArray[np.uint8]:
    """Return the bytes of a column's numbers, number by number."""
    numbers = np.empty((count, 8), np.uint8)
    for place, plane in enumerate(planes):
        numbers[:, place] = plane
    return numbers.reshape(-1)


def _column(count: int, first: int, even: int, planes: Planes) -> NDArray[np.int64]:
    """Return a column from its first number and its differences, which may wrap around as the sums do."""
    if even != _UNEVEN:
        return np.arange(count, dtype=np.int64) * even + first
    column = np.empty(count, np.int64)
    column[0] = first
    column[1:] = _together(planes, count - 1).view("<i8")
    return np.cumsum(column)


def _picked(rows: NDArray[np.intp], first: int, even: int, planes: Planes) -> NDArray[np.int64]:
    """Return some numbers of a column: the sums of each plane up to there, put together as its bytes are."""
    if even != _UNEVEN:
        return rows.astype(np.int64) * even + first
    shared = sum(plane << 8 * place for place, plane in enumerate(planes) if isinstance(plane, int))
    sums = rows.astype(np.uint64) * np.uint64(shared)
    later = rows[rows > 0]
    if later.size:
        starts = np.concatenate(([0], later[:-1]))
        for place, plane in enumerate(planes):
            if not isinstance(plane, int):
                between = np.add.reduceat(plane[: later[-1]], starts, dtype=np.uint64)
                sums[rows.size - later.size :] += np.cumsum(between) << np.uint64(8 * place)
    return sums.view(np.int64) + first
