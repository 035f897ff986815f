"""Compacted points: blocks of a metric's columns, each shuffled by bytes and compressed.

Steps and times are kept as differences, times in milliseconds where they are whole ones. Putting the first bytes of all
numbers side by side, then the second and so on, is what lets the general compressor find what neighbours share (as the
shuffle filters of HDF5 and Blosc do).
"""

import struct

import numpy as np
from numpy.typing import NDArray

from trimtab.infra.compression import zstd

MOST_POINTS = 8192
"""Points in a full block: some 50 kB on real curves."""

_HEAD = struct.Struct("<BIHqqqq")
_VERSION = 1
_LEVEL = 1
_UNEVEN = -(2**63)  # in the place of a step that all neighbours share

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def encode(step: NDArray[np.int64], at_us: NDArray[np.int64], value: NDArray[np.float64]) -> bytes:
    """Return 1 to `MOST_POINTS` points as a block."""
    unit = 1 if np.any(at_us % 1000) else 1000
    times = at_us // unit
    even_steps, step_planes = _differences(step)
    even_times, time_planes = _differences(times)
    head = _HEAD.pack(_VERSION, step.size, unit, int(step[0]), even_steps, int(times[0]), even_times)
    return head + zstd.compress(step_planes + time_planes + _shuffled(value), _LEVEL)


def decode(block: bytes) -> Columns:
    """Return the steps, times (microseconds) and values of a block."""
    version, count, unit, first_step, even_steps, first_time, even_times = _HEAD.unpack_from(block)
    if version != _VERSION:
        raise ValueError(f"a block of version {version}; this version of Trimtab is older")
    planes = np.frombuffer(zstd.decompress(block[_HEAD.size :]), np.uint8)
    place = 0
    columns: list[NDArray[np.int64]] = []
    for first, even in ((first_step, even_steps), (first_time, even_times)):
        if even != _UNEVEN:
            columns.append(np.arange(count, dtype=np.int64) * even + first)
            continue
        columns.append(_summed(first, planes[place : place + 8 * (count - 1)]))
        place += 8 * (count - 1)
    steps, times = columns
    return steps, times * unit, _unshuffled(planes[place:]).view("<f8")


def _differences(column: NDArray[np.int64]) -> tuple[int, bytes]:
    """Return the difference that all neighbours share, or the mark that they share none and all differences."""
    differences = np.diff(column)
    if not differences.size:
        return 0, b""
    first = int(differences[0])
    if first != _UNEVEN and bool((differences == first).all()):
        return first, b""
    return _UNEVEN, _shuffled(differences)


def _shuffled(column: NDArray[np.int64] | NDArray[np.float64]) -> bytes:
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    return np.ascontiguousarray(little.view(np.uint8).reshape(-1, 8).T).tobytes()


def _unshuffled(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.reshape(8, -1).T).reshape(-1)


def _summed(first: int, planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a column from its first number and its differences, which may wrap around as the sums do."""
    differences = _unshuffled(planes).view("<i8")
    column = np.empty(differences.size + 1, np.int64)
    column[0] = first
    column[1:] = differences
    return np.cumsum(column)
