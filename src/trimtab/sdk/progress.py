"""Progress bars for long transfers, shown on a terminal and nowhere else."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many bytes more are done, and how many there are in all."""


@contextmanager
def bars() -> Generator[Report]:
    """Lend a function that moves one bar for each thing being done; without a terminal it does nothing."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {}

        def report(doing: str, advance: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], advance=advance, total=total)

        yield report


def _silent(_doing: str, _advance: int, _total: int) -> None:
    pass
