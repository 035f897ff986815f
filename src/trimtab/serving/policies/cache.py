"""Answers kept for the same features, for a short while and in bounded memory."""

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from trimtab.serving.batch import Batch, Output
from trimtab.serving.schema import Schema

_ENTRY_BYTES = 300
"""What an entry costs beside its answer: key, time, and the places that hold them."""

_encoder = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder(list[Output]).decode


def feature_key(model: str, version: str, want: int, schema: Schema, batch: Batch) -> bytes | None:
    """Return the hash of everything that decides on an answer, or None for values that have no such hash."""
    packed = schema.packed(batch)
    digest = blake2b(f"{model}\0{version}\0{want}\0{batch.rows}\0".encode(), digest_size=16)
    if packed is not None:
        digest.update(packed)
        return digest.digest()
    try:
        digest.update(_encoder.encode(batch.columns))
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError):
        return None
    return digest.digest()


class AnswerCache:
    """Least recently used answers go first where room is short. Times are seconds of a clock that only goes forward."""

    def __init__(self, max_bytes: int, *, ttl_s: float) -> None:
        self.max_bytes = max_bytes
        self.ttl_s = ttl_s
        self.hits = 0
        self.misses = 0
        self.bytes = 0
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def get(self, key: bytes, now: float) -> list[Output] | None:
        """Return the answer that is kept, a fresh copy each time."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= now:
            if entry is not None:
                self._remove(key)
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return _decode(entry[1])

    def holds(self, key: bytes, now: float) -> bool:
        """Whether an answer is kept, without taking it."""
        entry = self._entries.get(key)
        return entry is not None and entry[0] > now

    def put(self, key: bytes, outputs: list[Output], now: float) -> None:
        """Keep an answer, if it has a form in which it can be kept and is not most of the room by itself."""
        try:
            content = _encoder.encode(outputs)
        except (TypeError, OverflowError, UnicodeEncodeError, RecursionError):
            return
        size = len(content) + _ENTRY_BYTES
        if size * 2 > self.max_bytes:
            return
        if key in self._entries:
            self._remove(key)
        self._entries[key] = (now + self.ttl_s, content)
        self.bytes += size
        while self.bytes > self.max_bytes:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: bytes) -> None:
        self.bytes -= len(self._entries.pop(key)[1]) + _ENTRY_BYTES
