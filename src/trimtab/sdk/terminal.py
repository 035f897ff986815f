"""How commands show results: tables for people, JSON for programs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec


def show_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows under their columns, or the sentence for an empty listing."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*["" if cell is None else str(cell) for cell in row])
        count += 1
    console = Console()
    console.print(table if count else empty)


def when(us: int | None) -> str:
    """Return a moment in local time to the second."""
    if us is None:
        return ""
    return datetime.fromtimestamp(us / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: int | None) -> str:
    """Return a number of bytes with its unit, to three digits."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
