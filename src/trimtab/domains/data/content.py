"""The bytes of versions on their way in and out: which are lacking, one by one, or many small ones in a pack.

A pack is a stream of members, each a line ``b3:<64 hexadecimal digits> <size>`` and then that many bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from trimtab.domains.govern import GovernService
from trimtab.infra.blobs import BlobCorrupt, BlobId, Blobs, check_id
from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.kernel.who import Principal

MOST_IDS = 200_000
MOST_MEMBER_BYTES = 8 << 20
_LONGEST_LINE = 100
_PIECE = 1 << 20


class ContentService:
    """Uploads and downloads of blobs. Bytes are checked against their names on the way in."""

    def __init__(self, blobs: Blobs, govern: GovernService) -> None:
        self._blobs = blobs
        self.govern = govern

    def missing(self, who: Principal, blobs: Sequence[BlobId]) -> list[BlobId]:
        """Return which of these blobs are not stored, each once; raises Invalid for what is no id."""
        self.govern.permit(who, "write", "data")
        if len(blobs) > MOST_IDS:
            raise TooLarge(f"Ask for at most {MOST_IDS} blobs at a time.")
        return [blob for blob in dict.fromkeys(blobs) if not self._blobs.touch(blob)]

    def put(self, who: Principal, blob: BlobId, content: BinaryIO | Iterator[bytes]) -> BlobId:
        """Store a stream under its announced id; raises BlobMismatch where the bytes are others."""
        self.govern.permit(who, "write", "data")
        return self._blobs.put(content, expect=check_id(blob))

    def put_pack(self, who: Principal, pieces: Iterator[bytes]) -> int:
        """Store every member of a pack, all or none, and return how many; raises Invalid or BlobMismatch."""
        self.govern.permit(who, "write", "data")
        return self._blobs.put_many(unpack(pieces))

    def pack(self, who: Principal, blobs: Iterable[BlobId]) -> Iterator[bytes]:
        """Yield a pack with these blobs."""
        self.govern.permit(who, "read", "data")
        return self._pack(blobs)

    def _pack(self, blobs: Iterable[BlobId]) -> Iterator[bytes]:
        waiting = bytearray()
        for blob in blobs:
            size = self._blobs.size(blob)
            waiting += f"{blob} {size}\n".encode()
            with self._blobs.open(blob) as stream:
                while piece := stream.read(_PIECE):
                    waiting += piece
                    size -= len(piece)
                    if len(waiting) >= _PIECE:
                        yield bytes(waiting)
                        waiting.clear()
            if size:
                raise BlobCorrupt(f"The blob {blob} changed its length.")
        if waiting:
            yield bytes(waiting)


def unpack(pieces: Iterator[bytes]) -> Iterator[tuple[BlobId, bytes]]:
    """Yield (id, bytes) of each member of a pack; raises Invalid where it breaks off or is none."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        start = 0
        while (member := _member(waiting, start)) is not None:
            blob, begin, end = member
            if end > len(waiting):
                break
            yield blob, bytes(waiting[begin:end])
            start = end
        del waiting[:start]
    if waiting:
        raise Invalid("The pack breaks off in the middle of a member.")


def _member(waiting: bytearray, start: int) -> tuple[BlobId, int, int] | None:
    """Return (id, begin, end) of the member at ``start``, None while its line is not complete."""
    stop = waiting.find(b"\n", start, start + _LONGEST_LINE)
    if stop < 0:
        if len(waiting) - start >= _LONGEST_LINE:
            raise Invalid("This is no pack: a member begins with a line 'b3:... SIZE'.")
        return None
    blob, _, size = waiting[start:stop].decode("ascii", "replace").partition(" ")
    check_id(blob)
    if not (size.isascii() and size.isdigit()) or int(size) > MOST_MEMBER_BYTES:
        raise Invalid(f"A member of a pack has at most {MOST_MEMBER_BYTES} bytes, and says how many.")
    return blob, stop + 1, stop + 1 + int(size)
