"""A folder of event files as TensorBoard sees it: each folder that holds some is a run, named by its path."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from trimtab.moving.model import Problem, Tell
from trimtab.moving.tensorboard.events import Batch, Decoder
from trimtab.moving.tensorboard.frames import Reader

_MARK = "tfevents"
_MOST_DEPTH = 12
_MOST_MARK = 90_000


class Progress(msgspec.Struct):
    """How far the files of a run were read, and what their records do not say again."""

    files: dict[str, int] = {}
    plugins: dict[str, str] = {}

    def encode(self) -> str:
        """Return it as text, or that of nothing where it would be too long: reading again is harmless."""
        text = msgspec.json.encode(self).decode()
        return text if len(text) <= _MOST_MARK else msgspec.json.encode(Progress()).decode()


class EventRun:
    """The event files of one folder, read once from wherever they were read before."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.progress = Progress()
        self._decoder = Decoder()
        self._broken: dict[str, int] = {}

    def files(self) -> list[os.DirEntry[str]]:
        """Return the event files that are there now, in the order in which they were begun."""
        try:
            entries = [
                entry
                for entry in os.scandir(self.folder)
                if _MARK in entry.name and entry.is_file(follow_symlinks=False)
            ]
        except OSError:
            return []
        return sorted(entries, key=lambda entry: entry.name)

    def identity(self) -> int | None:
        """Return when the first record was written, in microseconds; None before there is one."""
        if self.first_us is None:
            for entry in self.files():
                batch = Batch()
                with Path(entry.path).open("rb") as file:
                    frames = Reader(file).read(0, size=entry.stat().st_size)
                Decoder().decode(frames.data, frames.starts[:1], frames.lengths[:1], batch)
                if batch.first_us is not None:
                    self.first_us = batch.first_us
                    break
        return self.first_us

    def id(self, experiment: str) -> str:
        """Return the id of the run, the same wherever the folder is moved."""
        text = f"tensorboard\x00{experiment}\x00{self.name}\x00{self.first_us}".encode()
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def resume(self, progress: str) -> None:
        """Go on where an earlier import ended."""
        try:
            self.progress = msgspec.json.decode(progress, type=Progress)
        except msgspec.DecodeError:
            self.progress = Progress()
        self._decoder = Decoder(self.progress.plugins)

    def changed_us(self) -> int:
        """Return when a file of the run was last written, in microseconds."""
        return max((entry.stat().st_mtime_ns // 1000 for entry in self.files()), default=self.first_us or 0)

    def read(self, tell: Tell) -> Iterator[tuple[Batch, Progress]]:
        """Yield what is new, piece by piece, with the progress to note once the piece is safe."""
        for entry in self.files():
            size = entry.stat().st_size
            place = self.progress.files.get(entry.name, 0)
            if place > size:  # the file was begun anew
                place = 0
            if size == place or self._broken.get(entry.name) == size:
                continue
            with Path(entry.path).open("rb") as file:
                reader = Reader(file)
                while True:
                    frames = reader.read(place, size=size)
                    batch = Batch()
                    self._decoder.decode(frames.data, frames.starts, frames.lengths, batch)
                    if batch.last_us is not None:
                        self.last_us = max(batch.last_us, self.last_us or 0)
                    bad = frames.damaged + batch.malformed
                    if bad:
                        tell(Problem(entry.path, f"{bad} damaged records were left out"))
                    if frames.broken and self._broken.get(entry.name) is None:
                        tell(Problem(entry.path, f"{frames.broken}; what follows was not read"))
                    if frames.broken:
                        self._broken[entry.name] = size
                    place = frames.end
                    files = {**self.progress.files, entry.name: place}
                    yield batch, Progress(files, self._decoder.plugins)
                    if frames.ended:
                        break


def event_runs(folder: Path, known: dict[str, EventRun]) -> list[EventRun]:
    """Return the runs below a folder, by name, those that are known as they are. Links are not followed."""
    found: list[EventRun] = []
    waiting: list[tuple[Path, str, int]] = [(folder, "", 0)]
    while waiting:
        place, name, depth = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        if any(_MARK in entry.name and entry.is_file(follow_symlinks=False) for entry in entries):
            shown = name or folder.resolve().name
            if shown not in known:
                known[shown] = EventRun(shown, place)
            found.append(known[shown])
        if depth < _MOST_DEPTH:
            waiting += [
                (Path(entry.path), f"{name}/{entry.name}" if name else entry.name, depth + 1)
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
            ]
    return sorted(found, key=lambda run: run.name)
