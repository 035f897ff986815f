"""A replica's pulse: since when it has been predicting, in a few bytes that its keeper reads without asking it.

A model that hangs cannot answer any question, and may hold the interpreter's lock; a mapped file needs neither.
"""

import mmap
import struct
import time
from pathlib import Path

_SINCE = struct.Struct("<Q")


class Pulse:
    """The writing end; the file is made new."""

    def __init__(self, path: Path) -> None:
        with path.open("wb+") as file:
            file.write(bytes(_SINCE.size))
            file.flush()
            self._since = mmap.mmap(file.fileno(), _SINCE.size)

    def begin(self) -> None:
        """Note that a prediction begins now."""
        _SINCE.pack_into(self._since, 0, time.monotonic_ns())

    def end(self) -> None:
        """Note that it is over."""
        _SINCE.pack_into(self._since, 0, 0)


def busy_s(path: Path) -> float:
    """Return for how long a replica has been predicting, 0 where it waits for calls or has no pulse."""
    try:
        data = path.read_bytes()
    except OSError:
        return 0.0
    since = _SINCE.unpack(data)[0] if len(data) == _SINCE.size else 0
    return max(time.monotonic_ns() - since, 0) / 1e9 if since else 0.0
