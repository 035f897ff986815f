"""Uploads that come in parts, in any order and some at once: each part is written where it belongs in one file.

In a folder per upload, ``whole`` holds the parts of equal size at their places. The last part waits apart until the size
of the others is known for sure. A small file ``<number>.part`` with its mark and size says that a part is complete.
"""

# ruff: noqa: PTH103, PTH108, PTH123

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trimtab.infra.blobs.port import BadParts, Part, UploadNotFound
from trimtab.kernel.ids import new_id

_PIECE = 1 << 20
_NAME = re.compile(r"up_[0-9a-z]{26}")


class _Known(NamedTuple):
    mark: str
    size_bytes: int


class Upload:
    """One upload in parts, in its folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @classmethod
    def begin(cls, parent: str) -> str:
        """Make the folder of a new upload and return its name."""
        name = new_id("up_")
        os.makedirs(f"{parent}/{name}")
        return name

    @classmethod
    def find(cls, parent: str, name: str) -> "Upload":
        """Return an upload that was begun; raises UploadNotFound."""
        if not _NAME.fullmatch(name) or not Path(parent, name).is_dir():
            raise UploadNotFound(
                f"There is no upload {name[:100]!r}: it was completed, aborted or is too old."
            )
        return cls(f"{parent}/{name}")

    def put(self, number: int, content: Iterator[bytes | memoryview], *, of: int, size_bytes: int) -> str:
        """Write a part in the place of an earlier try and return the mark of this one; raises BadParts."""
        marker = f"{self._folder}/{number}.part"
        last = number == of
        with self._alone(number):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(marker)
            name, offset = ("last", 0) if last and of > 1 else ("whole", (number - 1) * size_bytes)
            handle = os.open(f"{self._folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            written = 0
            try:
                if name == "last":
                    os.ftruncate(handle, 0)
                for piece in content:
                    written += len(piece)
                    if written > size_bytes:
                        break
                    _write_at(handle, piece, offset + written - len(piece))
            finally:
                os.close(handle)
            if written != size_bytes:
                raise BadParts(f"Part {number} has another size than was announced.", field="part_number")
            mark = new_id()
            Path(marker).write_text(f"{mark} {size_bytes}")
        return mark

    def join(self, parts: Sequence[Part], *, of: int) -> str:
        """Put the parts together and return the file; raises BadParts when one is missing or is not what was sent."""
        known = [self._known(number) for number in range(1, of + 1)]
        for number, (found, part) in enumerate(zip(known, parts, strict=False), 1):
            if found is None or part.number != number or part.mark != found.mark:
                raise BadParts(f"Part {number} is missing or is not the one that was sent.", field="parts")
        complete = [found for found in known if found is not None]
        if len(parts) != of or len(complete) != of:
            raise BadParts(f"The upload has {of} parts; {len(parts)} were named.", field="parts")
        size = complete[0].size_bytes
        if any(found.size_bytes != size for found in complete[:-1]):
            raise BadParts("All parts but the last must have the same size.", field="parts")
        whole = f"{self._folder}/whole"
        total = size * (of - 1) + complete[-1].size_bytes
        if of > 1:
            with open(f"{self._folder}/last", "rb") as source, open(whole, "r+b") as target:
                target.seek(size * (of - 1))
                shutil.copyfileobj(source, target, _PIECE)
        os.truncate(whole, total)
        return whole

    def drop(self) -> None:
        """Remove all of the upload."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _known(self, number: int) -> _Known | None:
        try:
            mark, _, size = Path(f"{self._folder}/{number}.part").read_text().partition(" ")
        except FileNotFoundError:
            return None
        return _Known(mark, int(size)) if size else None

    @contextlib.contextmanager
    def _alone(self, number: int) -> Generator[None]:
        """Keep a second try of the same part away while the first still writes."""
        with open(f"{self._folder}/{number}.lock", "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BadParts(f"Part {number} is being written already.", field="part_number") from error
            yield


def pieces_of(content: BinaryIO, *, buffer_bytes: int = _PIECE) -> Iterator[memoryview]:
    """Read a file through one buffer; each piece is good until the next one only."""
    buffer = memoryview(bytearray(buffer_bytes))
    while count := content.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]


def _write_at(handle: int, piece: bytes | memoryview, offset: int) -> None:
    rest = memoryview(piece)
    while rest:
        count = os.pwrite(handle, rest, offset)
        rest, offset = rest[count:], offset + count
