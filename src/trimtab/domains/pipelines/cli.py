"""Commands for pipelines: run a file, list, show, follow, cancel, retry, schedule."""

from collections import Counter
from typing import Annotated, Any

import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

pipelines = typer.Typer(no_args_is_help=True)

Params = Annotated[list[str] | None, typer.Option("--param", "-p", help="KEY=VALUE; may be repeated.")]

_MARKS = {
    "waiting": "[dim]·[/]",
    "running": "[yellow]▸[/]",
    "succeeded": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
    "cancelled": "[dim]x[/]",
}


@pipelines.command("run")
def run_file(
    target: Annotated[str, typer.Argument(help="FILE.py:NAME, or the name of a registered pipeline.")],
    param: Params = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")] = True,
    url: Url = None,
    json: Json = False,
) -> None:
    """Register the pipeline of a file and run it; exit 1 when the run fails."""
    from trimtab.sdk.submission import submit

    client = connect(url)
    params = parse_params(param or [])
    if ".py" in target:
        run = submit(client, target, params)
    else:
        run = client.post("/pipeline-runs", {"pipeline": target, "params": params})
    if wait:
        run = _follow(client, run, quiet=json)
    if json:
        show_json(run)
    elif not wait:
        print(run["id"])
    if run["state"] in ("failed", "cancelled"):
        raise typer.Exit(1)


@pipelines.command("register")
def register(
    target: Annotated[str, typer.Argument(help="FILE.py:NAME")], url: Url = None, json: Json = False
) -> None:
    """Register the pipeline of a file without running it."""
    from trimtab.sdk.submission import publish

    made = publish(connect(url), target)
    if json:
        show_json(made)
    else:
        print(f"{made['name']} version {made['version']}")


@pipelines.command("ls")
def list_pipelines(url: Url = None, json: Json = False) -> None:
    """List pipelines."""
    items = list(connect(url).items("/pipelines"))
    if json:
        show_json(items)
        return
    rows = [
        (
            item["name"],
            item["version"],
            item["runs"],
            (item["last_run"] or {}).get("state"),
            item["cron"],
            when(item["updated_us"]),
        )
        for item in items
    ]
    show_table(
        ["name", "version", "runs", "last run", "schedule", "updated"],
        rows,
        empty="No pipelines. 'trimtab pipelines run FILE.py:NAME' registers and runs one.",
    )


@pipelines.command("runs")
def list_runs(
    pipeline: Annotated[str | None, typer.Argument(help="Only runs of this pipeline.")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled")] = None,
    limit: int = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    items = connect(url).get("/pipeline-runs", pipeline=pipeline, state=state, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            run["id"],
            run["pipeline"],
            run["state"],
            run["trigger"],
            when(run["created_us"]),
            _took(run),
            _tally(run),
        )
        for run in items
    ]
    show_table(["id", "pipeline", "state", "trigger", "at", "took", "steps"], rows, empty="No runs yet.")


@pipelines.command("show")
def show_run(run_id: str, url: Url = None, json: Json = False) -> None:
    """Show a run and its steps."""
    run = connect(url).get(f"/pipeline-runs/{run_id}")
    if json:
        show_json(run)
        return
    print(
        f"{run['pipeline']} {run['id']}: {run['state']} ({run['trigger']}, took {_took(run) or 'no time yet'})"
    )
    for name, value in run["params"].items():
        print(f"  {name} = {value}")
    if run["error"]:
        print(f"  {run['error']}")
    rows = [
        (
            step["name"],
            step["state"],
            "yes" if step["cached"] else "",
            step["attempt"],
            _took(step),
            step["error"],
        )
        for step in run["steps"]
    ]
    show_table(
        ["step", "state", "cached", "attempt", "took", "error"], rows, empty="Its graph is not built yet."
    )
    for name, value in run["outputs"].items():
        print(f"{name}: {value}")


@pipelines.command("logs")
def show_logs(
    run_id: str,
    step: Annotated[str | None, typer.Argument(help="Only this step; default every step.")] = None,
    url: Url = None,
) -> None:
    """Print what the steps of a run wrote."""
    client = connect(url)
    if step is not None:
        for piece in client.download(f"/pipeline-runs/{run_id}/steps/{step}/log"):
            print(piece.decode("utf-8", "replace"), end="")
        return
    for row in client.get(f"/pipeline-runs/{run_id}")["steps"]:
        for line in row["log_tail"].splitlines():
            print(f"{row['name']} | {line}")


@pipelines.command("cancel")
def cancel(run_id: str, url: Url = None) -> None:
    """End a run."""
    connect(url).post(f"/pipeline-runs/{run_id}/cancel")


@pipelines.command("retry")
def retry(
    run_id: str,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")] = True,
    url: Url = None,
) -> None:
    """Run the steps of a failed or cancelled run that have not succeeded; exit 1 when it fails again."""
    client = connect(url)
    run = client.post(f"/pipeline-runs/{run_id}/retry")
    if wait and _follow(client, run, quiet=False)["state"] != "succeeded":
        raise typer.Exit(1)


@pipelines.command("schedule")
def schedule(
    name: str,
    cron: Annotated[str | None, typer.Option(help="Cron expression in UTC, such as '0 5 * * *'.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Run it by schedule no longer.")] = False,
    param: Params = None,
    url: Url = None,
) -> None:
    """Have a registered pipeline run by a cron expression."""
    if off == (cron is not None):
        raise Invalid("Give either --cron or --off.", field="cron")
    client = connect(url)
    if off:
        client.delete(f"/pipelines/{name}/schedule")
    else:
        client.put(f"/pipelines/{name}/schedule", {"cron": cron, "params": parse_params(param or [])})


def parse_params(pairs: list[str]) -> dict[str, Any]:
    """Return ``KEY=VALUE`` texts as parameters; the server converts their types. Raises Invalid."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Invalid(f"{pair!r} is not KEY=VALUE.", field="param")
        if name in params:
            raise Invalid(f"The parameter {name!r} is given twice.", field="param")
        params[name] = value
    return params


def _follow(client: Client, run: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Show a run's steps as they pass, and return it once it has ended."""
    from rich.console import Console
    from rich.live import Live

    from trimtab.sdk.submission import follow

    console = Console(stderr=True)
    seen = follow(client, run["id"])
    if quiet or not console.is_terminal:
        *_, run = seen
    else:
        with Live(console=console, refresh_per_second=10) as live:
            for state in seen:
                run = state
                live.update(_picture(run))
    if not quiet:
        took = _took(run)
        print(f"{run['pipeline']} {run['id']} {run['state']}{f' in {took}' if took else ''}: {_tally(run)}")
        if run["error"]:
            print(run["error"])
        for name, value in run["outputs"].items():
            print(f"{name}: {value}")
    return run


def _picture(run: dict[str, Any]) -> Any:
    """Return the steps of a run as a table: all of them where they fit, else those that run or failed."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, title_justify="left")
    table.title = f"{run['pipeline']}  {run['state']}  {_tally(run)}"
    steps = run["steps"]
    if len(steps) > 24:
        steps = [step for step in steps if step["state"] in ("running", "failed")][:24]
    for step in steps:
        note = "cached" if step["cached"] else step["error"] or ""
        table.add_row(_MARKS[step["state"]], step["name"], _took(step) or "", f"[dim]{note[:80]}[/]")
    return table


def _tally(run: dict[str, Any]) -> str:
    counts = Counter(step["state"] for step in run["steps"])
    cached = sum(step["cached"] for step in run["steps"])
    words = [f"{number} {state}" for state, number in counts.items()]
    return ", ".join([*words, *([f"{cached} cached"] if cached else [])]) or "no steps yet"


def _took(item: dict[str, Any]) -> str | None:
    if item["started_us"] is None or item["ended_us"] is None:
        return None
    seconds = (item["ended_us"] - item["started_us"]) / 1e6
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
