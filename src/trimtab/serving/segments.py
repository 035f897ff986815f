"""The prediction log: append-only files of framed records, written off the request path and read by monitoring.

A record is a u32 length, a u32 CRC-32 (both little endian) and its MessagePack (`records`). Files grow as ``*.open`` under a lock
that dies with its gateway, and are renamed to ``*.seg`` when they are complete.
"""

import asyncio
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from trimtab.kernel.time import now_us
from trimtab.serving.records import Layout, Prediction, Record, decode, encode, plain
from trimtab.serving.routes import Field

MAX_SEGMENT_BYTES = 4 * 1024 * 1024
MAX_SEGMENT_AGE_S = 0.5

_UNLOCKED = ".new"
_FRAME = struct.Struct("<II")


class SegmentWriter:
    """Writes records to one folder from one event loop. A full disk never stops it: it counts what it loses.

    A folder has one writer at a time, which the gateway's lock on its state sees to; readers may come at any time.

    Records appended in one turn of the loop are written by one plain write() after it. From then on they survive
    the death of the process, though not that of the machine. The gateway has them written before the answers of that turn
    leave, so that a kill costs only predictions that no HTTP client was told of.
    """

    def __init__(self, folder: Path) -> None:
        self.written = 0
        self.lost = 0
        self.sealed = 0
        self.problem = ""
        self._folder = folder
        self._pending: list[Record] = []
        self._layouts: dict[int, Layout] = {}
        self._laid_out: set[int] = set()
        self._file = -1
        self._path = folder
        self._size = 0
        self._count = 0
        self._deadline: asyncio.TimerHandle | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for hidden in folder.glob("*" + _UNLOCKED):
            hidden.unlink()

    def append(self, record: Record) -> None:
        """Keep a record for the end of this turn of the running loop."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self.flush)
        self._pending.append(record)

    def layout(self, fields: Sequence[Field]) -> int:
        """Return the number of a layout that packed records may refer to; ask once for each schema."""
        number = len(self._layouts) + 1
        self._layouts[number] = Layout(number, list(fields))
        return number

    def flush(self) -> bool:
        """Write what is kept now; return whether all of it was written."""
        records, self._pending = self._pending, []
        if not records:
            return True
        if self._file < 0:
            self._laid_out.clear()
        data = bytearray()
        fresh: set[int] = set()
        kept = 0
        for record in records:
            try:
                if isinstance(record, Prediction) and record.layout:
                    number = record.layout
                    if number not in self._laid_out and number not in fresh:
                        body = encode(self._layouts[number])
                        data += _FRAME.pack(len(body), zlib.crc32(body))
                        data += body
                        fresh.add(number)
                body = encode(record)
            except (OverflowError, UnicodeEncodeError, TypeError, RecursionError) as error:
                # A value that a model made up and that has no form here must not cost the other records.
                self.lost += 1
                self.problem = f"a record could not be encoded: {error}"
                continue
            data += _FRAME.pack(len(body), zlib.crc32(body))
            data += body
            kept += 1
        if not self._write(data):
            self.lost += kept
            return False
        self.written += kept
        self._laid_out |= fresh
        if self._size >= MAX_SEGMENT_BYTES:
            self.seal()
        return kept == len(records)

    def seal(self) -> None:
        """Complete the present file, so that readers may take it."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._file < 0:
            return
        try:
            self._path.rename(self._path.with_suffix(".seg"))
            self.sealed += 1
        except OSError as error:  # the folder went away: the records with it
            self.problem = str(error)
        os.close(self._file)
        self._file = -1

    def close(self) -> None:
        """Write and complete everything."""
        self.flush()
        self.seal()

    def _write(self, data: bytearray) -> bool:
        try:
            if self._file < 0:
                self._open()
            done = os.write(self._file, data)
        except OSError as error:
            self.problem = str(error)
            self._discard_empty()
            return False
        if done < len(data):
            # No room for all: what was written of it would be a torn record in the middle of the file.
            self.problem = "the disk is full"
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            self._discard_empty()
            return False
        self._size += done
        return True

    def _open(self) -> None:
        self._count += 1
        self._path = self._folder / f"{now_us():016d}-{os.getpid()}-{self._count:06d}.open"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        hidden = self._path.with_suffix(_UNLOCKED)
        self._file = os.open(hidden, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        hidden.rename(self._path)  # only now, under the lock, may others see it: `adopt` takes what has none
        self._size = 0
        self._deadline = asyncio.get_running_loop().call_later(MAX_SEGMENT_AGE_S, self.seal)

    def _discard_empty(self) -> None:
        if self._file >= 0 and self._size == 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = -1
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None


def deliver(folder: Path, name: str, records: Iterable[Record]) -> Path:
    """Put records beside those of the gateway, as a complete file of this name; a file that is there is replaced.

    Readers take a name in once: whoever may come twice with the same records gives them the same name.
    """
    data = bytearray()
    for record in records:
        body = encode(record)
        data += _FRAME.pack(len(body), zlib.crc32(body))
        data += body
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.seg"
    hidden = folder / f".{name}.{os.getpid()}.{threading.get_ident()}.delivered"
    try:
        with hidden.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return path


def adopt(folder: Path) -> list[Path]:
    """Complete the files that dead gateways left open, and return them; those of living ones stay as they are."""
    adopted: list[Path] = []
    for path in sorted(folder.glob("*.open")):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():
                continue  # its gateway completed it between the listing and the lock
            if os.fstat(file).st_size == 0:
                path.unlink()
                continue
            adopted.append(path.rename(path.with_suffix(".seg")))
        except BlockingIOError:
            continue
        finally:
            os.close(file)
    return adopted


def sealed(folder: Path) -> list[Path]:
    """Return the complete files, oldest first. Whoever has taken one in deletes it."""
    return sorted(folder.glob("*.seg"))


def read(path: Path) -> Iterator[Record]:
    """Yield a file's records in the order of writing, up to the end or the first torn one; numbers are in lists."""
    for record, fields in stored(path):
        yield plain(record, fields) if isinstance(record, Prediction) else record


def stored(path: Path) -> Iterator[tuple[Record, Sequence[Field]]]:
    """Yield a file's records like `read`, but as they were written, each with the fields of its packed columns."""
    layouts: dict[int, tuple[Field, ...]] = {0: ()}
    for body in _bodies(path.read_bytes()):
        try:
            record = decode(body)
        except msgspec.DecodeError:
            continue  # whole, but by no release that this one knows of
        if isinstance(record, Layout):
            layouts[record.number] = tuple(record.fields)
            continue
        number = record.layout if isinstance(record, Prediction) else 0
        if number in layouts:
            yield record, layouts[number]


def torn_bytes(path: Path) -> int:
    """Return how many bytes at a file's end are no whole record: 0 for every file whose gateway lived on."""
    data = path.read_bytes()
    return len(data) - sum(_FRAME.size + len(body) for body in _bodies(data))


def _bodies(data: bytes) -> Iterator[memoryview]:
    """Yield the bytes of each record, up to the end or the first torn one."""
    at, end = _FRAME.size, len(data)
    view = memoryview(data)
    while at <= end:
        size, checksum = _FRAME.unpack_from(data, at - _FRAME.size)
        body = view[at : at + size]
        # Nothing at all is torn as well: what a file system filled with zeros after a crash.
        if not size or len(body) < size or zlib.crc32(body) != checksum:
            return
        yield body
        at += size + _FRAME.size
