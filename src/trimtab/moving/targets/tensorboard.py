"""Writes runs as event files: a folder for each run, which TensorBoard shows under the run's name."""

import re
from collections.abc import Iterator
from pathlib import Path

from trimtab.moving.model import ExportReport, File, RunRecord
from trimtab.moving.reading import HeldRun, Runs
from trimtab.moving.tensorboard import writing
from trimtab.moving.tensorboard.frames import framed

_NOTE = "mlflow.note.content"
_PICTURE = re.compile(r"(?:tensorboard/images/)?(.+?)(?:/(-?\d+)(?:-\d+)?)?\.png", re.IGNORECASE)
_MOST_PICTURE_BYTES = 20_000_000
_ENDED = ("FINISHED", "FAILED", "KILLED")


class TensorboardFolder:
    """A log folder of TensorBoard."""

    def __init__(self, runs: Runs, folder: Path, *, files: bool) -> None:
        self._runs = runs
        self._folder = folder
        self._files = files
        self._taken: dict[str, str] = {}

    def write(self, run: HeldRun, report: ExportReport) -> Path:
        """Write a run's metrics, parameters, note and pictures, and return its folder."""
        record = run.record
        folder = self._folder / self._name(record)
        folder.mkdir(parents=True, exist_ok=True)
        begun = record.started_us // 1_000_000
        target = folder / f"events.out.tfevents.{begun:010d}.trimtab.{record.id}"
        part = folder / f".part-{record.id}"  # not yet an event file to those who watch the folder
        try:
            with part.open("wb") as file:
                for piece in framed(self._records(run, report)):
                    file.write(piece)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return folder

    def _name(self, record: RunRecord) -> str:
        """Return the run's name as a path, with the beginning of its id where another run has the name."""
        parts = [re.sub(r"[^\w.\- ]", "_", part)[:120].strip() for part in record.name.split("/")]
        name = "/".join(part for part in parts if part not in ("", ".", "..")) or record.id[:8]
        if self._taken.setdefault(name.lower(), record.id) != record.id:
            name = f"{name}-{record.id[:8]}"
        return name

    def _records(self, run: HeldRun, report: ExportReport) -> Iterator[bytes]:
        record = run.record
        yield writing.version(record.started_us)
        if record.params:
            yield writing.session_start(record.params, group=record.id, started_us=record.started_us)
        if note := record.tags.get(_NOTE):
            yield writing.text("note", note, step=0, at_us=record.started_us)
        last_us = record.started_us
        for key in run.keys:
            for page in self._runs.points(record.id, key):
                yield from writing.scalars(key, zip(page.steps, page.at_us, page.values, strict=True))
                report.points += len(page.steps)
                last_us = max(last_us, *page.at_us) if page.at_us else last_us
        if self._files:
            for file in self._runs.files(record):
                yield from _picture(file, last_us, report)
        if record.params and record.status in _ENDED:
            yield writing.session_end(record.status, ended_us=record.ended_us or last_us)


def _picture(file: File, at_us: int, report: ExportReport) -> Iterator[bytes]:
    """Yield the record of a PNG file among the artifacts; the step is in the name of what came from TensorBoard."""
    found = _PICTURE.fullmatch(file.path)
    if found is None or file.size_bytes > _MOST_PICTURE_BYTES or file.pieces is None:
        return
    content = b"".join(file.pieces())
    size = writing.png_size(content)
    if size is None:
        return
    yield writing.picture(
        found[1], content, width=size[0], height=size[1], step=int(found[2] or 0), at_us=at_us
    )
    report.files += 1
    report.bytes += len(content)
