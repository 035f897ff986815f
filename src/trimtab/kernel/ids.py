"""Identifiers: time-ordered ones for our own objects, 32 hexadecimal digits where MLflow expects them."""

import os
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # two digits at a time: half the steps


class _Clock:
    """The last value given, so that the next is larger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
            self._last = max(value, self._last + 1)
            return self._last


_clock = _Clock()


def new_id(prefix: str = "") -> str:
    """Return a unique id of 26 characters after the prefix, which sorts by the time of its making.

    The layout is ULID's: 48 bits of milliseconds and 80 random bits; ids made by one process within the
    same millisecond still increase.
    """
    value = _clock.next()
    pairs = [_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)]
    return prefix + "".join(pairs)


def hex32() -> str:
    """Return 32 random hexadecimal digits, the form of MLflow's run ids."""
    return os.urandom(16).hex()
