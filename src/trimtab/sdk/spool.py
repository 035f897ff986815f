"""The spool: what a process logs to a run, in files on this machine until the server has it.

A spool is a folder of segments, each a sequence of frames: length, CRC-32, kind and count as ``<IIHH``, then the
payload. Each frame is one write to the page cache, so it outlives the process that wrote it, however that ends; a frame
that was cut short is recognised and left out. The process that writes holds a lock on the folder; who finds it unlocked
may send what is in it.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.time import now_us

FORMAT = 1
POINTS, FIELDS, NOTE = 1, 2, 3  # the kinds of frames
MOST_PAYLOAD = 1 << 20
FRAME = struct.Struct("<IIHH")
FRAME_BYTES = FRAME.size
_pack, _crc, _write = FRAME.pack, zlib.crc32, os.write
_SEGMENT_BYTES = 4 << 20
_RESERVE_BYTES = 1 << 20
_MEMORY_BYTES = 16 << 20
_DISK_PAUSE_S = 1.0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a spool belongs to. ``create`` makes the run where it is not there; None is for a run that must be.

    The owner of a run also ends it. There are no secrets in it.
    """

    format: int = FORMAT
    run_id: str
    url: str
    session: str
    owner: bool
    create: dict[str, Any] | None
    host: str
    pid: int
    created_us: int


def root() -> Path:
    """Return the folder of this user's spools: ``TRIMTAB_SPOOL``, else one in the user's state."""
    given = os.environ.get("TRIMTAB_SPOOL")
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return (Path(given) if given else Path(state) / "trimtab" / "spool").expanduser()


def most_bytes() -> int:
    """Return how much one spool may hold: ``TRIMTAB_SPOOL_MB``, by default 4096."""
    try:
        return int(float(os.environ.get("TRIMTAB_SPOOL_MB", "4096")) * (1 << 20))
    except ValueError:
        return 4096 << 20


def host() -> str:
    return socket.gethostname()


class Spool:
    """The writing end. ``append`` takes a few microseconds, is safe in threads and signal handlers, and never raises.

    Entries that would exceed ``most`` bytes are dropped and counted, except for the few that name and end the run. When
    the disk fails, entries wait in at most 16 MiB of memory.
    """

    def __init__(self, head: Head, *, folder: Path | None = None, most: int | None = None) -> None:
        self.head = head
        self.appended = 0
        self.dropped = 0
        self.folder: Path | None = None
        self._most = most_bytes() if most is None else most
        self._segment_bytes = min(_SEGMENT_BYTES, self._most // 8)  # only whole segments are removed
        self._written = self._released = 0
        self._lock = threading.RLock()
        self._writing = False
        self._deferred: deque[tuple[bytes, bool]] = deque()
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        self._failed_at: float | None = None
        self._segment = 0
        self._synced = 1  # the first segment that may not be on the disk
        self._room = -1  # how much the segment may still take
        self._files = 0
        self._descriptor = self._guard = -1
        try:
            self.folder, self._guard = _make(folder or root(), head)
            self._rotate()
        except OSError:
            self._fail()

    @property
    def held_bytes(self) -> int:
        """How much of the disk the spool takes now."""
        return self._written - self._released

    def append(self, kind: int, count: int, payload: bytes, *, must: bool = False) -> bool:
        """Add an entry and say whether it is kept.

        The common case stands here in full, because a training finds this code out of the processor's caches.
        """
        length = len(payload)
        size = length + FRAME_BYTES
        frame = _pack(length, _crc(payload, kind << 16 | count), kind, count) + payload
        with self._lock:
            if self._writing:  # a signal handler logs in the middle of a write of its own thread
                self._deferred.append((frame, must))
                return True
            self._writing = True
            try:
                if size > self._room:
                    return self._keep(frame, must=must)
                if (done := _write(self._descriptor, frame)) != size:
                    self._take_back(done)
                    return self._keep_elsewhere(frame, must=must)
                self._room -= size
                self._written += size
                self.appended += 1
                return True
            except OSError:
                return self._keep_elsewhere(frame, must=must)
            finally:
                self._writing = False
                if self._deferred:
                    self._keep_deferred()

    def add_file(self, source: Path | bytes) -> tuple[str, int] | None:
        """Keep a copy of a file, or bytes as one; return its name in the spool and its size, None where it is full.

        Raises OSError where the source cannot be read or the disk not written.
        """
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if self.folder is None or self.held_bytes + size > self._most:
            return None
        with self._lock:
            self._files += 1
            name = f"files/{self._files}"
        target = self.folder / name
        target.parent.mkdir(exist_ok=True)
        try:
            if isinstance(source, bytes):
                target.write_bytes(source)
            else:
                shutil.copyfile(source, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        with self._lock:
            self._written += size
        return name, size

    def release(self, size: int) -> None:
        """Count bytes that were removed from the disk."""
        self._released += size  # only the reading end calls this

    def take_memory(self) -> list[bytes]:
        """Hand over the frames that could not be written to the disk."""
        with self._lock:
            taken = [*self._memory]
            self._memory.clear()
            self._memory_bytes = 0
        return taken

    def sync(self) -> None:
        """Have the disk store what was written; only a loss of power needs it. Not for the thread that trains."""
        if self.folder is None:
            return
        last = self._segment
        for number in range(self._synced, last + 1):
            with contextlib.suppress(OSError):  # it was sent and removed meanwhile
                file = os.open(segment_file(self.folder, number), os.O_RDONLY | os.O_CLOEXEC)
                os.fdatasync(file)
                os.close(file)
        self._synced = last

    def close(self, *, remove: bool) -> None:
        """Let go of the folder; remove it where everything in it was sent."""
        with self._lock:
            self._room, self._failed_at = -1, float("inf")
            if remove and self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.forget()

    def forget(self) -> None:
        """Close the files and leave the folder; in a forked child this does not take the lock from the parent."""
        for descriptor in (self._descriptor, self._guard):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._descriptor = self._guard = -1

    def _put(self, frame: bytes) -> bool:
        """Write a frame into the segment and say whether the disk took it."""
        size = len(frame)
        try:
            if (done := _write(self._descriptor, frame)) == size:
                self._room -= size
                self._written += size
                return True
            self._take_back(done)
        except OSError:
            pass
        self._fail()
        return False

    def _take_back(self, done: int) -> None:
        """Cut off the beginning of a frame that the full disk did not take whole."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - done)

    def _fail(self) -> None:
        """Leave the disk alone for a while."""
        self._room = -1
        self._failed_at = time.monotonic()

    def _keep(self, frame: bytes, *, must: bool) -> bool:
        """Keep a frame that does not just go into the segment: in the next one, or in memory, or not at all."""
        size = len(frame)
        if size > MOST_PAYLOAD or self.held_bytes + size > self._most + must * _RESERVE_BYTES:
            self.dropped += 1
            return False
        ready = (self._failed_at is None or self._recovered()) and (size <= self._room or self._rotated())
        if ready and self._put(frame):
            self.appended += 1
            return True
        return self._keep_elsewhere(frame, must=must)

    def _keep_elsewhere(self, frame: bytes, *, must: bool) -> bool:
        """Keep a frame in memory, which the disk did not take."""
        if self._room >= 0:
            self._fail()
        if self._memory_bytes + len(frame) > _MEMORY_BYTES + must * _RESERVE_BYTES:
            self.dropped += 1
            return False
        self._memory.append(frame)
        self._memory_bytes += len(frame)
        self.appended += 1
        return True

    def _keep_deferred(self) -> None:
        with self._lock:
            while self._deferred:
                frame, must = self._deferred.popleft()
                self._keep(frame, must=must)

    def _recovered(self) -> bool:
        """Try, once in a while, to write what waits in memory; what the sender took meanwhile is gone from there."""
        if self.folder is None or time.monotonic() - (self._failed_at or 0.0) < _DISK_PAUSE_S:
            return False
        if not self._rotated():
            return False
        self._failed_at = None
        while self._memory:
            if not self._put(self._memory[0]):
                return False
            self._memory_bytes -= len(self._memory.popleft())
        return True

    def _rotated(self) -> bool:
        try:
            self._rotate()
        except OSError:
            self._fail()
            return False
        return True

    def _rotate(self) -> None:
        assert self.folder is not None
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(segment_file(self.folder, self._segment + 1), flags, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = opened
        self._segment += 1
        self._room = max(0, min(self._segment_bytes, self._most - self.held_bytes))


def new_head(
    *, run_id: str, url: str, session: str, owner: bool, create: dict[str, Any] | None = None
) -> Head:
    """Return the head of a spool that this process writes."""
    return Head(
        run_id=run_id,
        url=url,
        session=session,
        owner=owner,
        create=create,
        host=host(),
        pid=os.getpid(),
        created_us=now_us(),
    )


def _make(parent: Path, head: Head) -> tuple[Path, int]:
    """Make the folder of a spool; it appears under its name only when it is locked."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = Path(tempfile.mkdtemp(dir=parent, prefix=".new-"))
    guard = -1
    try:
        guard = os.open(new / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (new / "head.json").write_bytes(msgspec.json.encode(head))
        folder = parent / f"{head.run_id}-{head.session}"
        new.rename(folder)
    except OSError:
        if guard >= 0:
            os.close(guard)
        shutil.rmtree(new, ignore_errors=True)
        raise
    return folder, guard


def segment_file(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.log"
