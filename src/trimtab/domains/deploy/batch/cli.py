"""Commands for batch predictions: predict a table here or on the server, list, show and cancel what the server does."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

batch = typer.Typer(no_args_is_help=True)


_POLL_S = 0.3
_ENDED = ("succeeded", "failed", "cancelled")
Moved = Callable[[int, int | None, int, float], None]
"""Called with the rows that are done, how many there are in all, how many were refused, and the rows a second."""


def predict(
    model: Annotated[
        str, typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or a folder with an MLmodel file.")
    ],
    data: Annotated[str, typer.Option(help="data:NAME[@VERSION], or a file or folder of this machine.")],
    output: Annotated[
        str,
        typer.Option(help="A dataset, which gets a new version, or a file FILE.parquet of this machine."),
    ] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of the data to write beside the predictions; default: all but the inputs."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Write all columns of the data.")] = False,
    inputs: Annotated[
        list[str] | None,
        typer.Option(help="The data's columns in the order of the model's, where their names differ."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write class probabilities too.")
    ] = False,
    on_error: Annotated[
        str, typer.Option(help="What a row that cannot be predicted does: fail, or skip into a file.")
    ] = "fail",
    rows_at_once: Annotated[int, typer.Option(help="Rows of one call of the model.")] = 32_768,
    part_rows: Annotated[
        int, typer.Option(help="Rows of one part: the most that is done again after a crash.")
    ] = 262_144,
    workers: Annotated[
        int, typer.Option(help="Processes that predict; 0 for one a processor, of Ray's with --ray.")
    ] = 0,
    path: Annotated[str, typer.Option(help="One file of a data version that holds several tables.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a call with the same options was cut off.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Predict on this machine, not by the server.")
    ] = False,
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Predict on a Ray cluster, from this machine: auto, HOST:PORT or ray://HOST:PORT.",
        ),
    ] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the server.")] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load unsafe formats, which run code from the file.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Have the server leave the compiled form of the model aside.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Predict a whole table with a model.

    A data version whose predictions become a dataset is predicted by the server; a file is predicted on this machine,
    and so is whatever is written to one.
    """
    if on_error not in ("fail", "skip"):
        raise Invalid(f"{on_error!r} is neither fail nor skip.", field="on_error")
    chosen: dict[str, Any] = {
        "columns": columns or [],
        "keep": keep,
        "inputs": inputs or [],
        "probabilities": probabilities,
        "on_error": on_error,
        "rows_at_once": rows_at_once,
        "part_rows": part_rows,
        "workers": workers,
        "allow_pickle": allow_pickle,
        "native": native,
    }
    here = (
        local
        or bool(ray)
        or not data.startswith("data:")
        or not model.startswith("models:/")
        or _is_file(output)
    )
    if here:
        if detach:
            raise Invalid("This runs on this machine, where nothing goes on without it.", field="detach")
        _predict_here(model, data, output, chosen, path=path, resume=resume, ray=ray, url=url, json=json)
        return
    if resume:
        raise Invalid("The server goes on by itself where it was cut off.", field="resume")
    client = connect(url)
    body = {"model": model, "data": data, "output": output, "path": path, "reason": reason, **chosen}
    made = client.post("/batch-predictions", body)
    if not detach:
        made = _follow(client, made["id"])
    if json:
        show_json(made)
    elif detach:
        print(f"{made['id']}: 'trimtab batch show {made['id']}' tells how far it is.")
    else:
        _print(made)
    if made["state"] in ("failed", "cancelled"):
        raise typer.Exit(1)


@batch.command("ls")
def list_batches(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    limit: int = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List batch predictions, the newest first."""
    items = connect(url).get("/batch-predictions", model=model, state=state, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["id"],
            item["state"],
            f"{item['model']}/{item['model_version']}",
            f"{item['data']}@{item['data_version']}",
            _output(item),
            item["rows_done"],
            when(item["created_us"]),
        )
        for item in items
    ]
    columns = ["id", "state", "model", "data", "output", "rows", "asked for"]
    show_table(columns, rows, empty="No batch predictions. 'trimtab predict' makes one.")


@batch.command("show")
def show(
    id: Annotated[str, typer.Argument(help="What 'trimtab batch ls' lists.")],  # noqa: A002 - the argument's name
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show how far a batch prediction is, or what came out."""
    client = connect(url)
    found = _follow(client, id) if wait else client.get(f"/batch-predictions/{id}")
    if json:
        show_json(found)
    else:
        _print(found)


@batch.command("cancel")
def cancel(id: str, url: Url = None) -> None:  # noqa: A002 - the argument's name
    """Take a batch prediction back; nothing of it is kept."""
    print(f"{id}: {connect(url).post(f'/batch-predictions/{id}/cancel')['state']}")


def _predict_here(
    model: str,
    data: str,
    output: str,
    chosen: dict[str, Any],
    *,
    path: str,
    resume: bool,
    ray: str,
    url: str | None,
    json: bool,
) -> None:
    from trimtab.domains.deploy.batch.local import predict_here
    from trimtab.domains.deploy.batch.model import Options, Progress

    with _bar() as moved:

        def tell(progress: Progress) -> None:
            counts = progress.counts
            moved(counts.rows, progress.total, counts.refused, progress.rows_per_s)

        try:
            done = predict_here(
                model=model,
                data=data,
                output=output,
                options=Options(**chosen),
                resume=resume,
                path=path,
                connect=lambda: connect(url),
                tell=tell,
                ray=ray,
            )
        except KeyboardInterrupt:
            print("trimtab: stopped. The same command with --resume goes on from here.", file=sys.stderr)
            raise typer.Exit(130) from None
    if json:
        show_json(done)
        return
    print(done.output)
    if done.refused:
        print(f"refused rows: {done.refused}")
    counts = done.summary.counts
    _print_summary(
        {
            "rows": counts.rows,
            "refused": counts.refused,
            "resumed": done.summary.resumed,
            "seconds": done.summary.seconds,
            "rows_per_s": done.summary.rows_per_s,
            "distribution": done.summary.distribution,
        }
    )


def _follow(client: Client, batch_id: str) -> dict[str, Any]:
    """Return a batch prediction once it has ended."""
    with _bar() as moved:
        while True:
            found = client.get(f"/batch-predictions/{batch_id}")
            moved(found["rows_done"], found["rows_total"], found["rows_refused"], found["rows_per_s"])
            if found["state"] in _ENDED:
                return found
            try:
                time.sleep(_POLL_S)
            except KeyboardInterrupt:
                print(f"trimtab: it goes on; 'trimtab batch cancel {batch_id}' ends it.", file=sys.stderr)
                raise typer.Exit(130) from None


def _print(found: dict[str, Any]) -> None:
    source = f"{found['model']}/{found['model_version']} on {found['data']}@{found['data_version']}"
    print(f"{found['id']}: {found['state']}, {source}")
    if found["error"]:
        print(found["error"])
    if found["output_version"]:
        print(f"data:{found['output']}@{found['output_version']}")
    if found["refused_version"]:
        print(f"refused rows: data:{found['output']}-refused@{found['refused_version']}")
    if found["summary"]:
        _print_summary({**found["summary"]["counts"], **found["summary"]})
    elif found["state"] == "running":
        print(f"{found['rows_done']} rows done, {found['rows_per_s']:,.0f} rows/s")


def _print_summary(summary: dict[str, Any]) -> None:
    resumed = f", {summary['resumed']:,} of them before" if summary["resumed"] else ""
    refused = f", {summary['refused']:,} refused" if summary["refused"] else ""
    print(
        f"{summary['rows']:,} rows{resumed}{refused} in {summary['seconds']:.2f} s"
        f" ({summary['rows_per_s']:,.0f} rows/s)"
    )
    rows = [_distribution(one) for one in summary["distribution"]]
    names = ["output", "mean", "std", "min", "25 %", "50 %", "75 %", "max", "values"]
    if rows:
        show_table(names, rows, empty="")


def _distribution(one: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row on one output: its quantiles, and its values where they are few."""
    levels = [one["quantiles"].get(level) for level in ("0.25", "0.5", "0.75")]
    numbers = [one["mean"], one["std"], one["min"], *levels, one["max"]]
    texts = ["" if number is None else f"{number:.4g}" for number in numbers]
    values = [f"{top['value']}: {top['count']:,}" for top in one["top"][:5]] if one["complete"] else []
    return (one["name"], *texts, ", ".join(values))


def _output(item: dict[str, Any]) -> str:
    version = item["output_version"]
    return item["output"] + (f"@{version}" if version else "")


def _is_file(output: str) -> bool:
    return output.lower().endswith((".parquet", ".pq")) or "/" in output


@contextmanager
def _bar() -> Generator[Moved]:
    """Lend a function that moves a bar of rows; without a terminal it does nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _refused, _rate: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = (
        TextColumn("predicting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[refused]}"),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("predicting", total=None, rate=0.0, refused="")

        def moved(done: int, total: int | None, refused: int, rate: float) -> None:
            told = f"{refused:,} refused" if refused else ""
            progress.update(task, completed=done, total=total, rate=rate, refused=told)

        yield moved
