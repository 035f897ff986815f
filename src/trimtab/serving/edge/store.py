"""Predictions kept until the server has them: files of JSON lines that only grow, and together never more than allowed.

A disk that is full, or a limit that is reached, never stops a prediction: what cannot be kept is counted.
"""

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_FILE_BYTES = 256 << 10
_OPEN, _CLOSED = ".open", ".log"


class Store:
    """The files of one device. Any thread may append."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._path = folder
        self._size = 0
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{_OPEN}"):  # of a process that ended
            self._close_file(left)

    @property
    def lost(self) -> int:
        """How many predictions could not be kept since the server was last told."""
        with suppress(OSError, ValueError):
            return int((self._folder / "lost").read_text())
        return 0

    def append(self, record: dict[str, Any]) -> bool:
        """Keep a prediction; return whether that was possible."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._make_room(len(line))
                if self._file < 0:
                    self._begin()
                if os.write(self._file, line) < len(line):
                    raise OSError("the disk is full")
            except OSError:
                if self._file >= 0:
                    with suppress(OSError):
                        os.ftruncate(self._file, self._size)  # half a line is no line
                self._lose(1)
                return False
            self._size += len(line)
            if self._size >= _FILE_BYTES:
                self._end()
            return True

    def waiting(self) -> list[tuple[int, Path]]:
        """Return what can be forwarded, oldest first: (number, file). A number never comes twice."""
        with self._lock:
            self._end()
        return sorted((int(path.stem), path) for path in self._folder.glob(f"*{_CLOSED}"))

    def read(self, path: Path) -> list[dict[str, Any]]:
        """Return the predictions of a file, up to its end or the first torn line."""
        found: list[dict[str, Any]] = []
        for line in path.read_bytes().split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def forget(self, path: Path, *, lost: bool = False) -> None:
        """Remove a file that the server has, or that it will never take, which counts as lost."""
        if lost:
            self._lose(len(self.read(path)))
        path.unlink(missing_ok=True)

    def told(self, lost: int) -> None:
        """Note that the server knows of so many lost ones."""
        with self._lock:
            self._lose(-lost)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _begin(self) -> None:
        last = max((int(path.stem) for path in self._folder.glob(f"*{_CLOSED}")), default=0)
        number = max(time.time_ns() // 1000, last + 1)
        self._path = self._folder / f"{number:020d}{_OPEN}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._size = 0

    def _end(self) -> None:
        if self._file < 0:
            return
        with suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)
        self._file = -1
        self._close_file(self._path)

    def _close_file(self, path: Path) -> None:
        with suppress(OSError):
            if path.stat().st_size:
                path.rename(path.with_suffix(_CLOSED))
            else:
                path.unlink()

    def _make_room(self, size: int) -> None:
        closed = sorted(self._folder.glob(f"*{_CLOSED}"))
        total = sum(path.stat().st_size for path in closed) + self._size * (self._file >= 0) + size
        while total > self._most_bytes:
            if not closed:
                raise OSError("the limit is reached")
            oldest = closed.pop(0)
            total -= oldest.stat().st_size
            self._lose(len(self.read(oldest)))
            oldest.unlink()

    def _lose(self, count: int) -> None:
        with suppress(OSError):
            (self._folder / "lost").write_text(str(max(0, self.lost + count)))
