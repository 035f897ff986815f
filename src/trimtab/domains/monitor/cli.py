"""Commands for monitors."""

from typing import Annotated, Any

import typer

from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

monitors = typer.Typer(no_args_is_help=True)


@monitors.command("create")
def create(
    name: str,
    endpoint: Annotated[str, typer.Option(help="The endpoint to watch.")],
    reference: Annotated[str, typer.Option(help="A data version, such as data:flights@1.")],
    group_by: Annotated[str | None, typer.Option(help="Column of event times in the reference.")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Watch an endpoint against a data version."""
    body = {"name": name, "endpoint": endpoint, "reference": reference, "group_by": group_by}
    made = connect(url).post("/monitors", body)
    if json:
        show_json(made)
    else:
        print(f"{made['name']} watches {made['endpoint']} against {made['reference']}.")


@monitors.command("ls")
def list_monitors(url: Url = None, json: Json = False) -> None:
    """List monitors."""
    items = connect(url).get("/monitors")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (one["name"], one["state"], one["endpoint"], one["reference"], when(one["watermark_us"] or None))
        for one in items
    ]
    columns = ["name", "state", "endpoint", "reference", "newest event"]
    show_table(
        columns, rows, empty="No monitors. 'trimtab monitors create NAME --endpoint E --reference data:D@1'."
    )


@monitors.command("show")
def show(name: str, windows: int = 30, url: Url = None, json: Json = False) -> None:
    """Show a monitor and its newest windows."""
    client = connect(url)
    monitor = client.get(f"/monitors/{name}")
    newest = client.get(f"/monitors/{name}/windows")["items"][-windows:]
    if json:
        show_json({**monitor, "windows": newest})
        return
    print(
        f"{monitor['name']}: {monitor['state']}, endpoint {monitor['endpoint']}, reference {monitor['reference']}"
    )
    rows = [(when(one["start_us"]), one["rows"], one["labelled"], _drift(one), _auc(one)) for one in newest]
    show_table(["window", "rows", "labelled", "largest PSI", "ROC AUC"], rows, empty="No predictions yet.")


@monitors.command("rm")
def remove(name: str, url: Url = None) -> None:
    """Stop watching."""
    connect(url).delete(f"/monitors/{name}")


def _drift(window: dict[str, Any]) -> str:
    drift = window["drift"]
    return f"{drift['score']:.3f}{' alarm' if drift['alarm'] else ''}" if drift else ""


def _auc(window: dict[str, Any]) -> str:
    metrics = (window["performance"] or {}).get("metrics", {})
    auc = metrics.get("roc_auc", {}).get("value")
    return f"{auc:.3f}" if auc is not None else ""
