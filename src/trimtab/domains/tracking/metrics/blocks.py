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

_HEAD = struct.Struct("<BIHqq")
_VERSION = 1
_LEVEL = 3


def encode(step: NDArray[np.int64], at_us: NDArray[np.int64], value: NDArray[np.float64]) -> bytes:
    """Return 1 to `MOST_POINTS` points as a block."""
    unit = 1 if np.any(at_us % 1000) else 1000
    times = at_us // unit
    body = b"".join((_shuffled(np.diff(step)), _shuffled(np.diff(times)), _shuffled(value)))
    head = _HEAD.pack(_VERSION, step.size, unit, int(step[0]), int(times[0]))
    return head + zstd.compress(body, _LEVEL)


def decode(block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the steps, times (microseconds) and values of a block."""
    version, count, unit, first_step, first_time = _HEAD.unpack_from(block)
    if version != _VERSION:
        raise ValueError(f"a block of version {version}; this version of Trimtab is older")
    body = np.frombuffer(zstd.decompress(block[_HEAD.size :]), np.uint8)
    gap = 8 * (count - 1)
    steps = _summed(first_step, body[:gap])
    times = _summed(first_time, body[gap : 2 * gap])
    return steps, times * unit, _unshuffled(body[2 * gap :]).view("<f8")


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
    with np.errstate(over="ignore"):
        return np.cumsum(column)
