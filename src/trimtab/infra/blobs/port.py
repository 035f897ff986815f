"""What a store of content-addressed bytes must do."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from trimtab.kernel.errors import Invalid, NotFound, Unavailable

BlobId = str
KEEP_LONG_S = 86_400
"""How long what is stored waits for its reference where people and long steps have a part in that."""

_ID = re.compile(r"b3:[0-9a-f]{64}")


class BlobNotFound(NotFound):
    code = "blob-not-found"


class BlobCorrupt(Unavailable):
    """Stored bytes no longer match their name."""

    code = "blob-corrupt"


class BlobMismatch(Invalid):
    """Bytes that came do not have the digest that was announced for them; nothing was stored."""

    code = "blob-mismatch"


def check_id(blob: str) -> BlobId:
    """Return the id when it has the form ``b3:<64 hexadecimal digits>``; raises Invalid."""
    if not _ID.fullmatch(blob):
        raise Invalid(f"{blob[:80]!r} is not a blob id (b3: and 64 hexadecimal digits).", field="blob")
    return blob


class UploadNotFound(NotFound):
    """An upload in parts that was completed, aborted or swept, or never begun."""

    code = "upload-not-found"


class BadParts(Invalid):
    """Parts of an upload that do not make a whole."""

    code = "bad-parts"


class Part(NamedTuple):
    """A part that was sent: its number from 1 and the mark that the store answered."""

    number: int
    mark: str


class Swept(NamedTuple):
    """What a sweep removed, or would."""

    blobs: int
    size_bytes: int


class Blobs(Protocol):
    """Immutable bytes by digest. Writing the same bytes twice is free.

    Nobody counts references. A sweep removes what is referred to nowhere and was not stored or touched in the last
    minutes, so whoever is about to refer to a blob that it did not just store touches it first; who takes longer works
    with ``keeping``.
    """

    def keeping(self, seconds: int) -> "Blobs":
        """Return the same store, where what is stored or touched is kept for so long without any reference."""
        ...

    def put(self, content: bytes | BinaryIO | Iterator[bytes], /, *, expect: BlobId | None = None) -> BlobId:
        """Store bytes durably and return their id; a stream is stored in constant memory.

        With ``expect``, raises BlobMismatch and stores nothing when the bytes have another id.
        """
        ...

    def put_many(self, members: Iterable[tuple[BlobId, bytes]], /) -> int:
        """Store many small blobs and return how many; all are durable together when this returns.

        Raises BlobMismatch, and stores none, when the bytes of one have another id than the one beside them.
        """
        ...

    def open(self, blob: BlobId, /) -> BinaryIO:
        """Open the bytes for reading; raises BlobNotFound."""
        ...

    def path(self, blob: BlobId, /) -> Path | None:
        """Return a read-only local file with the bytes where the store has one."""
        ...

    def size(self, blob: BlobId, /) -> int:
        """Return the number of bytes; raises BlobNotFound."""
        ...

    def exists(self, blob: BlobId, /) -> bool: ...

    def touch(self, blob: BlobId, /) -> bool:
        """Have a blob count as just stored, and return whether it is there."""
        ...

    def delete(self, blob: BlobId, /) -> bool:
        """Remove the bytes and return whether they were there."""
        ...

    def ids(self) -> Iterator[BlobId]:
        """Go through every id that is stored."""
        ...

    def begin_parts(self) -> str:
        """Begin an upload in parts and return its id."""
        ...

    def put_part(
        self, upload: str, number: int, content: BinaryIO | Iterator[bytes], /, *, of: int, size_bytes: int
    ) -> str:
        """Store part ``number`` of ``of`` in constant memory and return its mark; a second try replaces the first.

        All parts but the last have the same size. Raises UploadNotFound and BadParts.
        """
        ...

    def join_parts(self, upload: str, parts: Sequence[Part], /, *, of: int) -> BlobId:
        """Make the parts one blob, durably, and forget the upload; raises UploadNotFound and BadParts."""
        ...

    def drop_parts(self, upload: str, /) -> None:
        """Forget an upload and its parts; nothing happens where there is none."""
        ...

    def sweep(self, in_use: Container[BlobId], /, *, before_us: int, dry_run: bool = False) -> Swept:
        """Remove what is not in use and was last stored or touched before a moment, and what broken uploads left.

        ``in_use`` holds every blob that something refers to now. What is stored or touched meanwhile stays.
        """
        ...
