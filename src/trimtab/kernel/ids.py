"""Identifiers: time-ordered ones for our own objects, 32 hexadecimal digits where MLflow expects them."""

import os
import threading
import time
from array import array

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # two digits at a time: half the steps
_RANDOM_BITS = 80


class _Clock:
    """The last value given, so that the next is larger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = 0
        self._random = 0
        self._steps: list[int] = []
        self._moment = ""

    def next(self) -> tuple[str, int]:
        """Return the digits of the time, and 80 bits that are random but larger than the last of the same time."""
        with self._lock:
            ms = time.time_ns() // 1_000_000
            if ms > self._ms:
                self._begin(ms, int.from_bytes(os.urandom(10)))
            else:
                if not self._steps:  # many at once, so that the kernel is asked seldom
                    self._steps = [1 + step for step in array("I", os.urandom(256))]
                self._random += self._steps.pop()
                if self._random >> _RANDOM_BITS:  # no room is left in this millisecond: go on with the next
                    self._begin(self._ms + 1, 0)
            return self._moment, self._random

    def _begin(self, ms: int, random: int) -> None:
        self._ms, self._random = ms, random
        self._moment = "".join([_ALPHABET[ms >> shift & 31] for shift in range(45, -1, -5)])


_clock = _Clock()


def _forked() -> None:
    """Begin anew, so that a forked process does not give the ids that its parent gives."""
    global _clock  # noqa: PLW0603 - the process is another
    _clock = _Clock()


os.register_at_fork(after_in_child=_forked)


def new_id(prefix: str = "") -> str:
    """Return a unique id of 26 characters after the prefix, which sorts by the time of its making.

    The layout is ULID's: 48 bits of milliseconds and 80 random bits; ids made by one process within the
    same millisecond still increase.
    """
    moment, r = _clock.next()
    digits = _PAIRS
    return (
        f"{prefix}{moment}{digits[r >> 70]}{digits[r >> 60 & 1023]}{digits[r >> 50 & 1023]}{digits[r >> 40 & 1023]}"
        f"{digits[r >> 30 & 1023]}{digits[r >> 20 & 1023]}{digits[r >> 10 & 1023]}{digits[r & 1023]}"
    )


def hex32() -> str:
    """Return 32 random hexadecimal digits, the form of MLflow's run ids."""
    return os.urandom(16).hex()
