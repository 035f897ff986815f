"""Remembers what was logged lately, so that a request that is sent again is known at once."""

import hashlib
import threading
from collections import OrderedDict

_REMEMBERED = 8192


class Recent:
    """Digests of the latest rows of the tail, of all runs together.

    It is a short cut for counts: a row that was forgotten is found to hold duplicates when it is compacted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def knows(self, run_no: int, row: bytes) -> bool:
        """Say whether a row of a run is one that was remembered."""
        with self._lock:
            return _digest(run_no, row) in self._seen

    def remember(self, run_no: int, row: bytes) -> None:
        """Remember a row that is durable."""
        with self._lock:
            self._seen[_digest(run_no, row)] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)


def _digest(run_no: int, row: bytes) -> bytes:
    return hashlib.blake2b(row, digest_size=16, salt=run_no.to_bytes(8, "big")).digest()
