"""Commands that bring runs and models in from elsewhere."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from trimtab.kernel.errors import Invalid
from trimtab.moving.model import Report
from trimtab.moving.terminal import counting, show_report
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json

imports = typer.Typer(no_args_is_help=True)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would come in, and change nothing.")]
Prefix = Annotated[str, typer.Option("--prefix", help="Put this before the names of experiments and models.")]


@imports.command("mlflow")
def import_mlflow(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (mlruns), a SQLite file, postgresql:// or mysql:// of a database, or http:// of a server."
        ),
    ],
    experiment: Annotated[
        list[str] | None, typer.Option("--experiment", "-e", help="Only these: names or ids.")
    ] = None,
    prefix: Prefix = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Also what is in the trash there.")] = False,
    artifacts: Annotated[
        list[Path] | None,
        typer.Option("--artifacts", help="A local folder where files of runs may be, such as mlartifacts."),
    ] = None,
    workspace: Annotated[str, typer.Option(help="The workspace of a database that has several.")] = "default",
    dry_run: DryRun = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Import runs, their files and registered models from MLflow; running it again changes nothing.

    Ids of runs stay; experiments are found by name. Interrupted, it goes on where it was. Exit code 1 says that
    something did not come over; the rest did.
    """
    from trimtab.moving import importing
    from trimtab.moving.mlflow import open_source

    opened = open_source(source, artifacts=artifacts or (), workspace=workspace)
    try:
        with counting() as advance:
            report = importing.run(
                connect(url),
                opened,
                experiments=experiment or (),
                prefix=prefix,
                deleted=deleted,
                dry_run=dry_run,
                advance=advance,
            )
    finally:
        opened.close()
    _finish(report, json=json)


@imports.command("tensorboard")
def import_tensorboard(
    folder: Annotated[
        Path, typer.Argument(help="A log folder; each folder in it with event files is a run.")
    ],
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Where to; default the name of the folder.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the folder until interrupted.")] = False,
    period: Annotated[float, typer.Option(help="Seconds between two looks at the folder.")] = 1.0,
    finished_after: Annotated[
        float, typer.Option(help="Seconds without a record after which a followed run counts as finished.")
    ] = 300.0,
    media: Annotated[bool, typer.Option(help="Take pictures, texts, sounds and histograms along.")] = True,
    dry_run: DryRun = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Import event files of TensorBoard once, or follow the folder while trainings write to it."""
    from trimtab.moving.tensorboard.importing import TensorboardImport

    moving = TensorboardImport(connect(url), folder, experiment=experiment, media=media)
    if not watch:
        _finish(moving.once(dry_run=dry_run), json=json)
        return
    if dry_run:
        raise Invalid("Give --watch or --dry-run, not both.", field="watch")
    stop = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda _signal, _frame: stop.set())

    def say(line: str) -> None:
        if not json:
            print(line, flush=True)

    say(f"Following {folder}; interrupt to stop.")
    report = moving.watch(stop=stop, period_s=period, finished_after_s=finished_after, say=say)
    _finish(report, json=json)


@imports.command("json")
def import_json(
    folder: Annotated[Path, typer.Argument(help="A folder that 'trimtab runs export --to json' wrote.")],
    experiment: Annotated[
        list[str] | None, typer.Option("--experiment", "-e", help="Only these: names or ids.")
    ] = None,
    prefix: Prefix = "",
    dry_run: DryRun = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Import runs that were exported as JSON; running it again changes nothing."""
    from trimtab.moving import importing
    from trimtab.moving.sources.json_folder import JsonFolder

    with counting() as advance:
        report = importing.run(
            connect(url),
            JsonFolder(folder),
            experiments=experiment or (),
            prefix=prefix,
            dry_run=dry_run,
            advance=advance,
        )
    _finish(report, json=json)


def _finish(report: Report, *, json: bool) -> None:
    if json:
        show_json(report)
    else:
        show_report(report)
    if not report.ok:
        raise typer.Exit(1)
