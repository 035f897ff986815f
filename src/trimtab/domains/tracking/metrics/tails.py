"""The tail's rows: what one call logged, in columns, so that taking a thousand points costs one insert.

A row is a version byte, the number of points, and four little-endian columns: key numbers (32 bits), steps and times
(64 bits) and values (doubles). Rows of more than a few points are compressed. Taking points needs no numpy; reading does.
"""

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trimtab.domains.tracking.metrics.model import PointColumns
from trimtab.infra.compression import zstd

if TYPE_CHECKING:
    from trimtab.domains.tracking.metrics.series import Series

_HEAD = struct.Struct("<BI")
_PLAIN, _COMPRESSED = 1, 2
_WORTH_COMPRESSING = 8
_LEVEL = 1


def pack(columns: PointColumns, numbers: Mapping[str, int]) -> bytes:
    """Return points as a row; ``numbers`` holds the number of each key."""
    keys = array("I", [numbers[key] for key in columns.keys])
    parts = [keys, array("q", columns.steps), array("q", columns.at_us), array("d", columns.values)]
    if sys.byteorder == "big":
        for part in parts:
            part.byteswap()
    body = b"".join([part.tobytes() for part in parts])
    if len(columns) < _WORTH_COMPRESSING:
        return _HEAD.pack(_PLAIN, len(columns)) + body
    return _HEAD.pack(_COMPRESSED, len(columns)) + zstd.compress(body, _LEVEL)


def unpack(rows: Sequence[tuple[int, bytes]]) -> "Series":
    """Return the points of (run, row) pairs as one series, in no order."""
    import numpy as np

    from trimtab.domains.tracking.metrics.series import Series

    runs: list[int] = []
    counts: list[int] = []
    bodies: list[list[bytes]] = [[], [], [], []]
    for run_no, row in rows:
        version, count = _HEAD.unpack_from(row)
        body = zstd.decompress(row[_HEAD.size :]) if version == _COMPRESSED else row[_HEAD.size :]
        runs.append(run_no)
        counts.append(count)
        edges = [0, 4 * count, 12 * count, 20 * count, 28 * count]
        for column, first, last in zip(bodies, edges, edges[1:], strict=False):
            column.append(body[first:last])
    keys, steps, at_us, values = (b"".join(column) for column in bodies)
    return Series(
        run=np.repeat(np.asarray(runs, np.int64), counts),
        key=np.frombuffer(keys, "<u4").astype(np.int64),
        step=np.frombuffer(steps, "<i8"),
        at_us=np.frombuffer(at_us, "<i8"),
        value=np.frombuffer(values, "<f8") + 0.0,  # -0.0 is 0.0
    )
