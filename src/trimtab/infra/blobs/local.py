"""Blobs as read-only files in a folder, two digits to a sub-folder, written by rename after fsync."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from trimtab.infra.blobs.port import BlobId, BlobNotFound, check_id
from trimtab.kernel.errors import Unavailable

_PIECE = 1 << 20


class LocalBlobs:
    """A folder of blobs on a local disk."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._incoming = self._folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes | BinaryIO | Iterator[bytes], /) -> BlobId:
        try:
            return self._put(content)
        except OSError as error:
            raise Unavailable(f"The blob store cannot write: {error.strerror}.") from error

    def _put(self, content: bytes | BinaryIO | Iterator[bytes]) -> BlobId:
        if isinstance(content, bytes):
            blob = f"b3:{blake3(content).hexdigest()}"
            if self._file(blob).exists():
                return blob
        digest = blake3()
        handle, name = tempfile.mkstemp(dir=self._incoming)
        incoming = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in _pieces(content):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            blob = f"b3:{digest.hexdigest()}"
            target = self._file(blob)
            if not target.exists():
                incoming.chmod(0o444)
                target.parent.mkdir(exist_ok=True)
                incoming.rename(target)
                _sync_folder(target.parent)
        finally:
            incoming.unlink(missing_ok=True)
        return blob

    def open(self, blob: BlobId, /) -> BinaryIO:
        try:
            return self._file(blob).open("rb")
        except FileNotFoundError as error:
            raise BlobNotFound(f"There is no blob {blob}.") from error

    def path(self, blob: BlobId, /) -> Path | None:
        file = self._file(blob)
        return file if file.exists() else None

    def size(self, blob: BlobId, /) -> int:
        try:
            return self._file(blob).stat().st_size
        except FileNotFoundError as error:
            raise BlobNotFound(f"There is no blob {blob}.") from error

    def exists(self, blob: BlobId, /) -> bool:
        return self._file(blob).exists()

    def delete(self, blob: BlobId, /) -> bool:
        try:
            self._file(blob).unlink()
        except FileNotFoundError:
            return False
        return True

    def ids(self) -> Iterator[BlobId]:
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                yield f"b3:{folder.name}{file.name}"

    def _file(self, blob: BlobId) -> Path:
        digits = check_id(blob)[3:]
        return self._folder / digits[:2] / digits[2:]


def _pieces(content: bytes | BinaryIO | Iterator[bytes]) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif hasattr(content, "read"):
        while piece := content.read(_PIECE):  # type: ignore[union-attr]
            yield piece
    else:
        yield from content  # type: ignore[misc]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
