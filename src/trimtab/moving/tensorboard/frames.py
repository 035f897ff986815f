"""The frames of an event file (TFRecord): a length, its checksum, so many bytes, their checksum.

The end of a file that is being written may hold half a frame; that is no damage, the rest of it comes later.
"""

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import msgspec
import numpy as np

from trimtab.science.crc32c import crc32c, masked, masked_all

_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")
_CHUNK = 8 << 20
_MOST_FRAME = 512 << 20
_MOST_AT_ONCE = 200_000
_WRITTEN_AT_ONCE = 1 << 20


class Frames(msgspec.Struct):
    """The whole records of a piece of a file: where the good ones lie in ``data``.

    ``end`` is the place in the file after the last frame that was read. ``ended`` says that no more can be read now,
    ``damaged`` how many records were left out for a wrong checksum, ``broken`` why reading cannot go on in this file.
    """

    data: bytes
    starts: list[int]
    lengths: list[int]
    end: int
    ended: bool = False
    damaged: int = 0
    broken: str = ""


class Reader:
    """Reads the frames of one file from any place between two frames on, piece by piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lengths: dict[bytes, int] = {}  # of heads that were checked; lengths repeat

    def read(self, place: int, *, size: int) -> Frames:
        """Return the records from ``place`` to some MiB further, in a file that now has ``size`` bytes."""
        frames = self._piece(place, _CHUNK, size)
        if frames.starts or frames.ended or frames.damaged:
            return frames
        (length,) = struct.unpack_from("<Q", frames.data)  # one frame is larger than the piece
        return self._piece(place, _HEAD.size + length + _FOOT.size, size)

    def _piece(self, place: int, most: int, size: int) -> Frames:
        self._file.seek(place)
        data = self._file.read(min(most, size - place))
        at, left = 0, len(data)
        frames = Frames(data, [], [], place, ended=place + left >= size)
        starts, lengths, known = frames.starts, frames.lengths, self._lengths
        while left - at >= _HEAD.size and len(starts) < _MOST_AT_ONCE:
            head = data[at : at + _HEAD.size]
            length = known.get(head)
            if length is None:
                length = self._length(head)
            if length is None:
                frames.ended = True
                if any(data[at:]):  # else blocks that the file system has given out and nobody filled yet
                    frames.broken = f"the length at byte {place + at} does not fit its checksum"
                break
            start = at + _HEAD.size
            if start + length + _FOOT.size > left:
                frames.ended = place + start + length + _FOOT.size > size
                break
            starts.append(start)
            lengths.append(length)
            at = start + length + _FOOT.size
        else:
            frames.ended = frames.ended and left - at < _HEAD.size
        frames.end = place + at
        _verify(frames, size)
        return frames

    def _length(self, head: bytes) -> int | None:
        """Return the length that a head states, or None where its checksum says that it states none."""
        length, checksum = _HEAD.unpack(head)
        if masked(crc32c(head[:8])) != checksum or length > _MOST_FRAME:
            return None
        self._lengths[head] = length
        return length


def _verify(frames: Frames, size: int) -> None:
    """Leave out records that do not fit their checksums; the last one of a file may still be being written."""
    stated = _stated(frames)
    found = masked_all(frames.data, frames.starts, frames.lengths)
    good = [index for index, (one, other) in enumerate(zip(found, stated, strict=True)) if one == other]
    if len(good) == len(found):
        return
    frames.damaged = len(found) - len(good)
    if frames.end == size and good[-1:] != [len(found) - 1]:
        frames.end -= frames.lengths[-1] + _HEAD.size + _FOOT.size
        frames.ended = True
        frames.damaged -= 1
    frames.starts = [frames.starts[index] for index in good]
    frames.lengths = [frames.lengths[index] for index in good]


def _stated(frames: Frames) -> list[int]:
    """Return the checksums that stand after the records."""
    ends = np.asarray(frames.starts, np.int64) + np.asarray(frames.lengths, np.int64)
    feet = np.frombuffer(frames.data, np.uint8)[ends[:, None] + np.arange(_FOOT.size)]
    return np.ascontiguousarray(feet).view("<u4")[:, 0].tolist() if ends.size else []


def framed(records: Iterable[bytes]) -> Iterator[bytes]:
    """Yield records as frames, about a MiB of them at a time."""
    waiting: list[bytes] = []
    held = 0
    for record in records:
        waiting.append(record)
        held += len(record)
        if held >= _WRITTEN_AT_ONCE:
            yield _frames(waiting)
            waiting, held = [], 0
    if waiting:
        yield _frames(waiting)


def _frames(records: Sequence[bytes]) -> bytes:
    heads = [struct.pack("<Q", len(record)) for record in records]
    parts = zip(heads, _checksums(heads), records, _checksums(records), strict=True)
    return b"".join(
        [
            part
            for head, first, record, last in parts
            for part in (head, _FOOT.pack(first), record, _FOOT.pack(last))
        ]
    )


def _checksums(parts: Sequence[bytes]) -> list[int]:
    lengths = [len(part) for part in parts]
    starts = list(itertools.accumulate(lengths, initial=0))[:-1]
    return masked_all(b"".join(parts), starts, lengths)
