"""Writes artifacts to local folders."""

from pathlib import Path

from trimtab.moving.model import ExportReport, File, Problem
from trimtab.moving.sources.local_files import good_path


def write_file(file: File, root: Path, report: ExportReport) -> None:
    """Write an artifact below a folder, whole or not at all."""
    if not good_path(file.path) or file.pieces is None:
        report.problems.append(Problem(file.path[:200], "a file of this name is not written"))
        return
    target = root / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.part")
    try:
        with part.open("wb") as copy:
            for piece in file.pieces():
                copy.write(piece)
                report.bytes += len(piece)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    report.files += 1
