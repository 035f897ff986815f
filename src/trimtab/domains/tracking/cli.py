"""Commands for experiments and runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.domains.tracking.runs.cli import register
from trimtab.domains.tracking.runs.cli import run_id as _run_id
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when

runs = typer.Typer(no_args_is_help=True)
experiments = typer.Typer(no_args_is_help=True)
register(runs)

_MOST_COLUMNS = 4


@experiments.command("ls")
def list_experiments(
    deleted: Annotated[bool, typer.Option("--deleted", help="Those in the trash.")] = False,
    limit: int = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List experiments, newest first."""
    view = "deleted" if deleted else "active"
    items = connect(url).get("/experiments", view=view, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [(item["id"], item["name"], item["runs"], when(item["created_us"])) for item in items]
    show_table(["id", "name", "runs", "created"], rows, empty="No experiments.")


@experiments.command("rm")
def delete_experiment(experiment: str, url: Url = None) -> None:
    """Move an experiment (its name or id) and its runs to the trash."""
    client = connect(url)
    client.delete(f"/experiments/{_experiment_id(client, experiment)}")


@experiments.command("restore")
def restore_experiment(experiment: str, url: Url = None) -> None:
    """Take an experiment (its id) and its runs out of the trash."""
    connect(url).post(f"/experiments/{experiment}/restore")


@runs.command("ls")
def list_runs(
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="Name or id.")] = None,
    where: Annotated[
        str, typer.Option("--filter", "-f", help="metrics.auc > 0.9 and params.kind = 'tree'")
    ] = "",
    order_by: Annotated[list[str] | None, typer.Option("--order-by", "-o", help="metrics.auc DESC")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those in the trash.")] = False,
    limit: int = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List runs, newest first unless ordered otherwise."""
    client = connect(url)
    items = client.get(
        "/runs",
        experiment_id=_experiment_id(client, experiment) if experiment else None,
        filter=where,
        order_by=order_by,
        view="deleted" if deleted else "active",
        limit=limit,
    )["items"]
    if json:
        show_json(items)
        return
    keys = _common([item["metrics"] for item in items])
    rows = [
        (
            item["id"][:8],
            item["name"],
            item["status"].lower(),
            when(item["started_us"]),
            *[_metric(item["metrics"].get(key)) for key in keys],
        )
        for item in items
    ]
    show_table(
        ["id", "name", "status", "started", *keys], rows, empty="No runs. trimtab.run() or mlflow make one."
    )


@runs.command("show")
def show_run(run: str, url: Url = None, json: Json = False) -> None:
    """Show what was logged to a run; the beginning of its id is enough."""
    client = connect(url)
    item = client.get(f"/runs/{_run_id(client, run)}")
    if json:
        show_json(item)
        return
    show_table(
        ["run", item["id"]],
        [
            ("name", item["name"]),
            ("experiment", item["experiment_id"]),
            ("status", item["status"].lower()),
            ("started", when(item["started_us"])),
            ("ended", when(item["ended_us"])),
            ("owner", item["owner"]),
            *item["source"].items(),
        ],
        empty="",
    )
    for title, rows in (
        ("parameter", list(item["params"].items())),
        ("metric", [(key, _metric(value)) for key, value in item["metrics"].items()]),
        ("tag", list(item["tags"].items())),
    ):
        if rows:
            print()
            show_table([title, "value"], rows, empty="")
    files = client.get(f"/runs/{item['id']}/artifacts")["items"]
    if files:
        print()
        show_table(
            ["artifact", "size"], [(file["path"], size(file["size_bytes"])) for file in files], empty=""
        )


@runs.command("compare")
def compare_runs(
    run: Annotated[
        list[str], typer.Argument(help="Two or more runs; the beginnings of their ids are enough.")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same in all.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show side by side where runs differ in parameters, metrics and code."""
    client = connect(url)
    items = [client.get(f"/runs/{_run_id(client, one)}") for one in run]
    rows = _differences(items, everything=everything)
    if json:
        show_json(
            {
                "runs": [item["id"] for item in items],
                "rows": [{"kind": kind, "key": key, "values": values} for kind, key, values in rows],
            }
        )
        return
    columns = ["", *[f"{item['name']} ({item['id'][:8]})" for item in items]]
    show_table(
        columns, [(f"{kind} {key}", *values) for kind, key, values in rows], empty="The runs do not differ."
    )


@runs.command("export")
def export_runs(
    run: Annotated[
        list[str],
        typer.Argument(help="Runs (the beginnings of their ids are enough), then the folder to write to."),
    ],
    to: Annotated[str, typer.Option("--to", help="tensorboard, mlflow or json")],
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="All runs of this experiment: its name or id.")
    ] = None,
    artifacts: Annotated[bool, typer.Option(help="Take the files of the runs along.")] = True,
    url: Url = None,
    json: Json = False,
) -> None:
    """Write runs to a folder: as event files of TensorBoard, as MLflow's mlruns, or as JSON."""
    from trimtab.moving.exporting import FORMATS, export
    from trimtab.moving.reading import Runs
    from trimtab.moving.terminal import counting, show_export

    *ids, dest = run
    chosen = FORMATS.get(to)
    if chosen is None:
        raise Invalid(f"--to takes {', '.join(FORMATS)}, not {to!r}.{did_you_mean(to, FORMATS)}", field="to")
    client = connect(url)
    wanted = [_run_id(client, one) for one in ids] + (Runs(client).ids(experiment) if experiment else [])
    if not wanted:
        raise Invalid(
            "Name the runs and then the folder: trimtab runs export RUN --to json FOLDER.", field="run"
        )
    with counting() as advance:
        report = export(client, wanted, Path(dest), to=chosen, files=artifacts, advance=advance)
    if json:
        show_json(report)
    else:
        show_export(report)
    if report.problems:
        raise typer.Exit(1)


@runs.command("rm")
def delete_run(run: str, url: Url = None) -> None:
    """Move a run to the trash."""
    client = connect(url)
    client.delete(f"/runs/{_run_id(client, run)}")


@runs.command("restore")
def restore_run(run: str, url: Url = None) -> None:
    """Take a run (its whole id) out of the trash."""
    connect(url).post(f"/runs/{run}/restore")


def _differences(items: list[dict[str, Any]], *, everything: bool) -> list[tuple[str, str, list[Any]]]:
    rows: list[tuple[str, str, list[Any]]] = []
    for kind, field in (("param", "params"), ("metric", "metrics"), ("code", "source")):
        for key in sorted({key for item in items for key in item[field]}):
            values = [item[field].get(key) for item in items]
            if kind == "metric":
                values = [None if value is None else value["value"] for value in values]
            if everything or any(value != values[0] for value in values):
                rows.append((kind, key, values))
    return rows


def _common(metrics: list[dict[str, Any]]) -> list[str]:
    """Return the few metrics that most runs have."""
    counts: dict[str, int] = {}
    for one in metrics:
        for key in one:
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))[:_MOST_COLUMNS]


def _metric(metric: dict[str, Any] | None) -> str | None:
    if metric is None:
        return None
    return "not finite" if metric["value"] is None else f"{metric['value']:.6g}"


def _experiment_id(client: Client, given: str) -> str:
    if given.isdigit():
        return given
    quote = '"' if "'" in given else "'"
    items = client.get("/experiments", filter=f"name = {quote}{given}{quote}", view="all", limit=1)["items"]
    return items[0]["id"] if items else given
