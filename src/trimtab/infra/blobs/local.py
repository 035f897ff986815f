"""Blobs as read-only files in a folder, two digits to a sub-folder, written by rename after they are on the disk."""

# A dataset may have many thousand files, and objects for paths cost more than the disk does.
# ruff: noqa: PTH103, PTH104, PTH106, PTH108, PTH110, PTH116, PTH120, PTH123

import contextlib
import ctypes
import fcntl
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from blake3 import blake3

from trimtab.infra.blobs.parts import Upload, pieces_of
from trimtab.infra.blobs.port import (
    BlobId,
    BlobMismatch,
    BlobNotFound,
    Part,
    Swept,
    UploadNotFound,
    check_id,
)
from trimtab.kernel.errors import Unavailable

_PIECE = 1 << 20
_READ_ONLY = 0o444
_LONG_BYTES = 16 << 20
_FLUSHED_BYTES = 32 << 20
_ROOM_BYTES = 64 << 20
_KEEP_SIZE = 1
_SYNC_FILE_RANGE_WRITE = 2
_SWEPT_AT_ONCE = 200
_SOON_S = 60


class LocalBlobs:
    """A folder of blobs on a local disk."""

    def __init__(self, folder: str, *, keep_s: int = 0) -> None:
        self._folder = str(Path(folder))
        self._keep_s = keep_s
        self._incoming = f"{self._folder}/incoming"
        self._lock = f"{self._folder}/sweep.lock"
        Path(self._incoming).mkdir(parents=True, exist_ok=True)

    def keeping(self, seconds: int) -> "LocalBlobs":
        return LocalBlobs(self._folder, keep_s=seconds)

    def put(self, content: bytes | BinaryIO | Iterator[bytes], /, *, expect: BlobId | None = None) -> BlobId:
        if isinstance(content, bytes):
            blob = _checked(content, expect)
            if self.touch(blob):
                return blob
        digest = blake3()
        with _writing():
            handle, incoming = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb", buffering=0):
                writer = _Writer(handle)
                for piece in _pieces(content):
                    digest.update(piece)
                    with _writing():
                        writer.write(piece)
                blob = f"b3:{digest.hexdigest()}"
                if expect is not None and blob != expect:
                    raise _mismatch(expect, blob)
                with _writing():
                    writer.finish()
            with _writing():
                self._keep(incoming, blob)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(incoming)
        return blob

    def put_many(self, members: Iterable[tuple[BlobId, bytes]], /) -> int:
        with _writing():
            folder = tempfile.mkdtemp(dir=self._incoming)
        try:
            return self._put_many(folder, members)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _put_many(self, folder: str, members: Iterable[tuple[BlobId, bytes]]) -> int:
        incoming: dict[BlobId, str] = {}
        count = 0
        for expect, content in members:
            blob = _checked(content, expect)
            count += 1
            if blob not in incoming and not self.touch(blob):
                incoming[blob] = f"{folder}/{count}"
                with _writing():
                    handle = os.open(incoming[blob], os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
                    try:
                        _write_all(handle, content)
                    finally:
                        os.close(handle)
        with _writing():
            # One flush of the file system costs less than one of each file, and puts content before names as well.
            _sync_all(folder, incoming.values())
            with self._locked(fcntl.LOCK_SH):
                for blob, file in incoming.items():
                    self._adopt(file, blob)
            if incoming:
                _sync_all(self._folder, {os.path.dirname(self._file(blob)) for blob in incoming})
        return count

    def _keep(self, incoming: str, blob: BlobId) -> None:
        with self._locked(fcntl.LOCK_SH):
            adopted = self._adopt(incoming, blob)
        if adopted:
            _sync_folder(os.path.dirname(self._file(blob)))

    def _adopt(self, incoming: str, blob: BlobId) -> bool:
        """Give a complete file its name; return False where the blob was there already."""
        target = self._file(blob)
        with contextlib.suppress(FileNotFoundError):
            self._renew(target)
            return False
        if self._keep_s:
            self._renew(incoming)
        try:
            os.rename(incoming, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(incoming, target)
        return True

    def open(self, blob: BlobId, /) -> BinaryIO:
        try:
            return open(self._file(blob), "rb")
        except FileNotFoundError as error:
            raise BlobNotFound(f"There is no blob {blob}.") from error

    def path(self, blob: BlobId, /) -> Path | None:
        file = self._file(blob)
        return Path(file) if os.path.exists(file) else None

    def size(self, blob: BlobId, /) -> int:
        try:
            return os.stat(self._file(blob)).st_size
        except FileNotFoundError as error:
            raise BlobNotFound(f"There is no blob {blob}.") from error

    def exists(self, blob: BlobId, /) -> bool:
        return os.path.exists(self._file(blob))

    def touch(self, blob: BlobId, /) -> bool:
        file = self._file(blob)
        try:
            # A file that is far from being swept needs no lock, which costs more than all else here.
            if os.stat(file).st_mtime >= time.time() + self._keep_s - max(_SOON_S, self._keep_s / 2):
                return True
            with self._locked(fcntl.LOCK_SH):
                self._renew(file)
        except FileNotFoundError:
            return False
        return True

    def _renew(self, file: str) -> None:
        """Say until when a file is kept without a reference: its time of change is that moment."""
        now = time.time()
        os.utime(file, (now, now + self._keep_s))

    def delete(self, blob: BlobId, /) -> bool:
        try:
            os.unlink(self._file(blob))
        except FileNotFoundError:
            return False
        return True

    def ids(self) -> Iterator[BlobId]:
        for folder in sorted(Path(self._folder).glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                yield f"b3:{folder.name}{file.name}"

    def begin_parts(self) -> str:
        with _writing():
            return Upload.begin(self._incoming)

    def put_part(
        self, upload: str, number: int, content: BinaryIO | Iterator[bytes], /, *, of: int, size_bytes: int
    ) -> str:
        found = Upload.find(self._incoming, upload)
        with _writing():
            return found.put(number, _pieces(content), of=of, size_bytes=size_bytes)

    def join_parts(self, upload: str, parts: Sequence[Part], /, *, of: int) -> BlobId:
        found = Upload.find(self._incoming, upload)
        digest = blake3()
        with _writing():
            whole = found.join(parts, of=of)
            with open(whole, "rb+") as file:
                for piece in pieces_of(file):
                    digest.update(piece)
                os.fchmod(file.fileno(), _READ_ONLY)
                os.fsync(file.fileno())
            blob = f"b3:{digest.hexdigest()}"
            self._keep(whole, blob)
        found.drop()
        return blob

    def drop_parts(self, upload: str, /) -> None:
        with contextlib.suppress(UploadNotFound):
            Upload.find(self._incoming, upload).drop()

    def sweep(self, in_use: Container[BlobId], /, *, before_us: int, dry_run: bool = False) -> Swept:
        found, size = 0, 0
        candidates: list[str] = []
        for blob in self.ids():
            file = self._file(blob)
            if blob not in in_use and _older(file, before_us) is not None:
                candidates.append(file)
        for folder, _, names in os.walk(self._incoming):
            candidates += [
                f"{folder}/{name}" for name in names if _older(f"{folder}/{name}", before_us) is not None
            ]
        for start in range(0, len(candidates), _SWEPT_AT_ONCE):
            # What is stored again meanwhile is touched under the other side of this lock, and then stays.
            with contextlib.nullcontext() if dry_run else self._locked(fcntl.LOCK_EX):
                for file in candidates[start : start + _SWEPT_AT_ONCE]:
                    its_size = _older(file, before_us)
                    if its_size is not None:
                        if not dry_run:
                            os.unlink(file)
                        found, size = found + 1, size + its_size
        if not dry_run:
            self._drop_empty(before_us)
        return Swept(found, size)

    def _drop_empty(self, before_us: int) -> None:
        """Remove the folders of uploads that were given up."""
        for folder in os.scandir(self._incoming):
            if folder.is_dir() and folder.stat().st_mtime_ns // 1000 < before_us:
                with contextlib.suppress(OSError):
                    os.rmdir(folder.path)

    @contextlib.contextmanager
    def _locked(self, how: int) -> Generator[None]:
        """Hold the lock between those who store and touch (shared) and the one who sweeps, in all processes."""
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

    def _file(self, blob: BlobId) -> str:
        digits = check_id(blob)[3:]
        return f"{self._folder}/{digits[:2]}/{digits[2:]}"


def _checked(content: bytes, expect: BlobId | None) -> BlobId:
    blob = f"b3:{blake3(content).hexdigest()}"
    if expect is not None and blob != check_id(expect):
        raise _mismatch(expect, blob)
    return blob


def _mismatch(expect: BlobId, blob: BlobId) -> BlobMismatch:
    return BlobMismatch(f"The bytes sent as {expect} are {blob}: they changed on the way.", field="blob")


@contextlib.contextmanager
def _writing() -> Generator[None]:
    """Turn what the disk refuses into Unavailable; errors of the source of the bytes are none of the store's."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The blob store cannot write: {error.strerror}.") from error


def _older(file: str, before_us: int) -> int | None:
    """Return the size of a file that was last written or touched before a moment, else None."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_size if found.st_mtime_ns // 1000 < before_us else None


class _Writer:
    """Writes one new file. A long one gets its room in large steps, and the disk begins before the last flush.

    Both save time only, so a system that has no such calls does without.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._written = self._begun = self._room = 0
        self._allocate, self._begin = _calls()

    def write(self, piece: bytes | memoryview) -> None:
        if self._written >= _LONG_BYTES:
            if self._allocate and self._written + len(piece) > self._room:
                self._room = self._written + _ROOM_BYTES
                length = ctypes.c_int64(self._room - self._written)
                self._allocate(self._handle, _KEEP_SIZE, ctypes.c_int64(self._written), length)
            if self._begin and self._written - self._begun >= _FLUSHED_BYTES:
                length = ctypes.c_int64(self._written - self._begun)
                self._begin(self._handle, ctypes.c_int64(self._begun), length, _SYNC_FILE_RANGE_WRITE)
                self._begun = self._written
        _write_all(self._handle, piece)
        self._written += len(piece)

    def finish(self) -> None:
        """Make the file durable and read-only."""
        if self._room:
            os.ftruncate(self._handle, self._written)  # gives back what was allocated and not needed
        os.fchmod(self._handle, _READ_ONLY)
        os.fsync(self._handle)


@functools.cache
def _calls() -> tuple[Any, Any]:
    library = ctypes.CDLL(None)
    return getattr(library, "fallocate", None), getattr(library, "sync_file_range", None)


def _write_all(handle: int, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _pieces(content: bytes | BinaryIO | Iterator[bytes]) -> Iterator[bytes | memoryview]:
    """Yield pieces, each of which is good until the next one only."""
    if isinstance(content, bytes):
        yield content
    elif hasattr(content, "readinto"):
        yield from pieces_of(cast("BinaryIO", content))
    elif hasattr(content, "read"):
        while piece := content.read(_PIECE):  # type: ignore[union-attr]
            yield piece
    else:
        yield from content  # type: ignore[misc]


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_all(folder: str, paths: Iterable[str]) -> None:
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
