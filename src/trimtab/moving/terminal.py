"""Shows people what is being moved and what became of it."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from trimtab.moving.model import ExportReport, Problem, Report
from trimtab.sdk.terminal import show_table, size

Advance = Callable[[str, int, int], None]
_MOST_SHOWN = 20


@contextmanager
def counting() -> Generator[Advance]:
    """Lend a function that moves a bar for each thing that is counted; without a terminal it does nothing."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[tuple[str, int], Any] = {}

        def advance(doing: str, more: int, total: int) -> None:
            if (doing, total) not in tasks:
                tasks[doing, total] = progress.add_task(doing, total=total)
            progress.update(tasks[doing, total], advance=more)

        yield advance


def _silent(_doing: str, _more: int, _total: int) -> None:
    pass


def show_report(report: Report) -> None:
    """Print a table of what came in, and what did not."""
    print(f"From {report.origin}" + (" (dry run: nothing was changed)" if report.dry_run else ""))
    if report.experiments:
        rows = [
            (one["theirs"], one["name"], one["ours"] or "-", "new" if one["created"] else "")
            for one in report.experiments
        ]
        show_table(["experiment there", "name", "id here", ""], rows, empty="")
    print()
    verb = "would be new" if report.dry_run else "new"
    rows = [
        (
            what,
            counts["created"],
            counts["updated"],
            counts["unchanged"],
            counts["refused"] + counts["failed"],
        )
        for what, counts in (("runs", report.runs), ("logged models", report.logged_models))
        if what == "runs" or any(counts.values())
    ]
    show_table(["", verb, "brought up to date", "unchanged", "not taken"], rows, empty="")
    facts = [
        ("points", f"{report.points:,}"),
        ("files", f"{report.files:,} ({size(report.bytes)})"),
        ("registered models", report.models),
        ("versions", report.versions),
        ("seconds", report.seconds),
    ]
    print()
    show_table(["", ""], [fact for fact in facts if fact[1]], empty="")
    for note in report.notes[:_MOST_SHOWN]:
        print(note)
    show_problems(report.problems)


def show_export(report: ExportReport) -> None:
    """Print what was written and where."""
    facts = f"{report.points:,} points, {report.files:,} files ({size(report.bytes)})"
    print(f"{report.runs} runs written to {report.folder} for {report.format}: {facts}")
    show_problems(report.problems)


def show_problems(problems: list[Problem]) -> None:
    """Print what did not come over and what can be done about it."""
    if not problems:
        return
    print()
    rows = [(one.where, one.what, one.advice) for one in problems[:_MOST_SHOWN]]
    show_table(["where", "what", "what to do"], rows, empty="")
    if len(problems) > _MOST_SHOWN:
        print(f"and {len(problems) - _MOST_SHOWN} more; --json shows all")
