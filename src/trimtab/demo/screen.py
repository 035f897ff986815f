"""What the demonstration shows on a terminal: sections, work with a spinner, the timeline, and the replay's progress."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from trimtab.demo.replay import Replay
from trimtab.kernel.time import iso

_MARKS = {
    "alarm": "[bold red]alarm[/]",
    "retraining": "[cyan]retraining[/]",
    "gate": "[blue]gate[/]",
    "canary": "[magenta]canary[/]",
    "promotion": "[bold green]promotion[/]",
    "rollback": "[bold yellow]rollback[/]",
    "deploy": "[green]deploy[/]",
    "manual": "[white]by hand[/]",
    "decision": "[white]decision[/]",
}


class Screen:
    """Writes to one console; on anything but a terminal the same lines come without colour or animation."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._live: Progress | None = None

    def section(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/]")

    def note(self, text: str) -> None:
        self.console.print(f"  {text}", style="dim")

    @contextmanager
    def work(self, title: str) -> Generator[None]:
        """Show that something goes on, and how long it took."""
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=1)
            yield
            progress.advance(task)

    @contextmanager
    def replay(self, replay: Replay, begin_us: int, end_us: int) -> Generator[None]:
        """Show how far the replay is while the timeline is printed above it."""
        columns = (
            TextColumn("{task.fields[day]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[sent]:>7,} requests  {task.fields[failed]} failed"),
            TimeElapsedColumn(),
        )
        with _ReplayProgress(replay, begin_us, end_us, *columns, console=self.console) as progress:
            self._live = progress
            yield
        self._live = None

    def step(self, step: dict[str, Any]) -> None:
        """Print a line of the timeline."""
        day = iso(step["event_us"])[:10] if step["event_us"] else " " * 10
        console = self._live.console if self._live else self.console
        console.print(
            f"  [dim]{day}[/]  {_MARKS.get(step['kind'], step['kind'])}  {step['title']}", soft_wrap=True
        )
        if step["detail"] and step["state"] != "info":
            console.print(f"              [dim]{step['detail']}[/]", soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of figures, numbers to the right."""
        shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for position, column in enumerate(columns):
            shown.add_column(column, justify="left" if position == 0 else "right")
        for row in rows:
            shown.add_row(*row)
        self.console.print()
        self.console.print(shown)


class _ReplayProgress(Progress):
    """A progress bar that reads the replay whenever it is drawn."""

    def __init__(
        self, replay: Replay, begin_us: int, end_us: int, *columns: ProgressColumn, console: Console
    ) -> None:
        self._replay, self._begin_us, self._end_us = replay, begin_us, end_us
        super().__init__(*columns, console=console, refresh_per_second=4)
        self.add_task("", total=end_us - begin_us, day="", sent=0, failed=0)

    def get_renderables(self) -> Iterable[RenderableType]:
        now = max(self._begin_us, min(self._end_us, self._replay.clock.now_us))
        said = self._replay.progress
        for task in self.tasks:
            task.completed = now - self._begin_us
            task.fields.update(day=iso(now)[:10], sent=said.sent, failed=said.failed)
        return super().get_renderables()
