"""Blobs as read-only files in a folder, two digits to a sub-folder, written by rename after they are on the disk."""

import ctypes
import io
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from trimtab.infra.blobs.port import BlobId, BlobMismatch, BlobNotFound, check_id
from trimtab.kernel.errors import Unavailable

_PIECE = 1 << 20


class LocalBlobs:
    """A folder of blobs on a local disk."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._incoming = self._folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes | BinaryIO | Iterator[bytes], /, *, expect: BlobId | None = None) -> BlobId:
        if isinstance(content, bytes):
            blob = _checked(content, expect)
            if self._file(blob).exists():
                return blob
        digest = blake3()
        with _writing():
            handle, name = tempfile.mkstemp(dir=self._incoming)
        incoming = Path(name)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                for piece in _pieces(content):
                    digest.update(piece)
                    with _writing():
                        _write_all(file, piece)
                with _writing():
                    os.fsync(file.fileno())
            blob = f"b3:{digest.hexdigest()}"
            if expect is not None and blob != expect:
                raise _mismatch(expect, blob)
            with _writing():
                if self._adopt(incoming, blob):
                    _sync_folder(self._file(blob).parent)
        finally:
            incoming.unlink(missing_ok=True)
        return blob

    def put_many(self, members: Iterable[tuple[BlobId, bytes]], /) -> int:
        with _writing():
            folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            return self._put_many(folder, members)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _put_many(self, folder: Path, members: Iterable[tuple[BlobId, bytes]]) -> int:
        incoming: dict[BlobId, Path] = {}
        count = 0
        for expect, content in members:
            blob = _checked(content, expect)
            count += 1
            if blob not in incoming and not self._file(blob).exists():
                incoming[blob] = folder / str(count)
                with _writing():
                    incoming[blob].write_bytes(content)
        with _writing():
            # One flush of the file system costs less than one of each file, and puts content before names as well.
            _sync_all(folder, incoming.values())
            for blob, file in incoming.items():
                self._adopt(file, blob)
            if incoming:
                _sync_all(self._folder, {self._file(blob).parent for blob in incoming})
        return count

    def _adopt(self, incoming: Path, blob: BlobId) -> bool:
        """Give a complete file its name; return False where the blob was there already."""
        target = self._file(blob)
        if target.exists():
            return False
        incoming.chmod(0o444)
        target.parent.mkdir(exist_ok=True)
        incoming.rename(target)
        return True

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


def _checked(content: bytes, expect: BlobId | None) -> BlobId:
    blob = f"b3:{blake3(content).hexdigest()}"
    if expect is not None and blob != check_id(expect):
        raise _mismatch(expect, blob)
    return blob


def _mismatch(expect: BlobId, blob: BlobId) -> BlobMismatch:
    return BlobMismatch(f"The bytes sent as {expect} are {blob}: they changed on the way.", field="blob")


@contextmanager
def _writing() -> Generator[None]:
    """Turn what the disk refuses into Unavailable; errors of the source of the bytes are none of the store's."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The blob store cannot write: {error.strerror}.") from error


def _write_all(file: io.FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


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


def _sync_all(folder: Path, paths: Iterable[Path]) -> None:
    """Have the disk hold the folder's file system, or at least these paths where the system cannot flush it whole."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        for path in paths:
            _sync_folder(path)
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if library.syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(handle)
