"""The reading end of a spool: what is still to be sent, of this process or of one that has ended."""

import contextlib
import fcntl
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Self

import msgspec

from trimtab.sdk.spool import FORMAT, FRAME, MOST_PAYLOAD, Head, Spool, segment_file

ENSURED, ENDED = 1, 2  # flags of a place: the server has the run; the server has its end
Frame = tuple[int, int, bytes, int]  # kind, count, payload, the offset behind it
_PLACE = struct.Struct("<QQQI")
_READ_BYTES = 2 * MOST_PAYLOAD
_STRIKES = 3


class Reader:
    """The reading end: frames in the order of their writing, and the place up to which the server has them."""

    def __init__(self, folder: Path, *, spool: Spool | None = None) -> None:
        self._folder = folder
        self._spool = spool
        self._segment, self._offset, self.flags = _read_place(folder)
        self._opened: tuple[int, int] | None = None  # segment, descriptor
        self._strikes = 0
        self.damaged = 0
        self.behind = False  # whether more was there than the last reading gave
        self._forget_segments_before(self._segment)

    def read(self, *, most: int) -> list[Frame]:
        """Return the next frames, of about ``most`` entries together; none where nothing more is there yet."""
        while True:
            more = segment_file(
                self._folder, self._segment + 1
            ).exists()  # asked first: then this one has ended
            frames = self._parse(most)
            if frames or self.behind or not more:
                self.behind |= more
                return frames
            self.damaged += self._size() > self._offset
            self._forget_segments_before(self._segment + 1)
            self._segment, self._offset = self._segment + 1, 0

    def commit(self, offset: int, flags: int = 0) -> None:
        """Note that everything before an offset of the present segment is with the server."""
        self._offset = offset
        self.flags |= flags
        body = struct.pack("<QQQ", self._segment, offset, self.flags)
        with contextlib.suppress(OSError):  # without it the same is sent again, which changes nothing
            file = os.open(self._folder / "sent", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            os.pwrite(file, body + zlib.crc32(body).to_bytes(4, "little"), 0)
            os.close(file)

    def mark(self, flags: int) -> None:
        """Note what else the server has."""
        self.commit(self._offset, flags)

    def left(self) -> int:
        """Return how many bytes of entries are still to be sent."""
        sizes = {int(file.stem): file.stat().st_size for file in self._folder.glob("*.log")}
        return sum(size for number, size in sizes.items() if number >= self._segment) - self._offset

    def file(self, name: str) -> Path:
        return self._folder / name

    def drop_file(self, name: str) -> None:
        """Remove a copy that the server has."""
        file = self._folder / name
        with contextlib.suppress(OSError):
            size = file.stat().st_size
            file.unlink()
            if self._spool is not None:
                self._spool.release(size)

    def close(self) -> None:
        if self._opened is not None:
            os.close(self._opened[1])
            self._opened = None

    def _parse(self, most: int) -> list[Frame]:
        try:
            data = os.pread(self._file(), _READ_BYTES, self._offset)
        except OSError:
            self.behind = False
            return []
        frames: list[Frame] = []
        at, total, size = 0, 0, len(data)
        again = False
        while size - at >= FRAME.size and total < most:
            length, check, kind, count = FRAME.unpack_from(data, at)
            end = at + FRAME.size + length
            if not 0 < length <= MOST_PAYLOAD:
                break  # zeros that a loss of power left behind: nothing more is in this segment
            if end > size:
                break
            payload = data[at + FRAME.size : end]
            if zlib.crc32(payload, kind << 16 | count) != check:
                self._strikes += 1
                if frames or self._strikes < _STRIKES:
                    again = True  # perhaps it is being written
                    break
                self.damaged += 1
            else:
                frames.append((kind, count, payload, self._offset + end))
                total += count
            self._strikes = 0
            at = end
        self.behind = again or (bool(frames) and (total >= most or size == _READ_BYTES))
        return frames

    def _file(self) -> int:
        if self._opened is None or self._opened[0] != self._segment:
            self.close()
            descriptor = os.open(segment_file(self._folder, self._segment), os.O_RDONLY | os.O_CLOEXEC)
            self._opened = (self._segment, descriptor)
        return self._opened[1]

    def _size(self) -> int:
        try:
            return os.fstat(self._file()).st_size
        except OSError:
            return 0

    def _forget_segments_before(self, number: int) -> None:
        for file in self._folder.glob("*.log"):
            if int(file.stem) < number:
                with contextlib.suppress(OSError):
                    size = file.stat().st_size
                    file.unlink()
                    if self._spool is not None:
                        self._spool.release(size)


class Found:
    """A spool that some process left; while it is open nobody else sends it."""

    def __init__(self, folder: Path, head: Head, guard: int) -> None:
        self.folder = folder
        self.head = head
        self._guard = guard

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._guard)


def heads(folder: Path) -> list[tuple[Path, Head]]:
    """Return the spools in a folder, the oldest first; what is none or of another format is left out."""
    found: list[tuple[Path, Head]] = []
    with contextlib.suppress(OSError):
        for each in folder.iterdir():
            if each.name.startswith("."):
                continue
            try:
                head = msgspec.json.decode((each / "head.json").read_bytes(), type=Head)
            except (OSError, msgspec.MsgspecError):
                continue
            if head.format == FORMAT:
                found.append((each, head))
    return sorted(found, key=lambda one: one[1].created_us)


def claim(folder: Path, head: Head) -> Found | None:
    """Take a spool over; None where a process still writes it or another sends it."""
    try:
        guard = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / "head.json").exists():
            return Found(folder, head, guard)
    except OSError:
        pass
    os.close(guard)
    return None


def _read_place(folder: Path) -> tuple[int, int, int]:
    try:
        content = (folder / "sent").read_bytes()
        segment, offset, flags, check = _PLACE.unpack(content)
    except (OSError, struct.error):
        return 1, 0, 0
    return (segment, offset, flags) if zlib.crc32(content[:24]) == check else (1, 0, 0)
