"""The commands that set versions side by side and show what loading their files would run."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.domains.registry.targets import Target, path_of, split
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when


def compare(
    name: str,
    versions: Annotated[
        list[str], typer.Argument(metavar="VERSION...", help="Two or more numbers or aliases.")
    ],
    all_rows: Annotated[bool, typer.Option("--all", help="Show what is alike too.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set versions side by side: parameters, metrics with intervals, signature, data, packages, gates."""
    client = connect(url)
    aliases = client.get(f"/models/{quote(name, safe='')}")["aliases"]
    numbers = [str(aliases.get(one.removeprefix("@"), one.removeprefix("v"))) for one in versions]
    found = client.get(f"/models/{quote(name, safe='')}/compare", versions=",".join(numbers))
    if json:
        show_json(found)
        return
    parts = ("metrics", "params", "signature", "data", "environment", "facts")
    rows = [
        (part, row["key"], *[_compared(row["key"], value) for value in row["values"]])
        for part in parts
        for row in found[part]
        if all_rows or row["differs"]
    ]
    rows.append(("gate", "newest", *[gate["verdict"] if gate else "-" for gate in found["gates"]]))
    show_table(["", "", *[f"v{one['version']}" for one in found["versions"]]], rows, empty="Nothing differs.")


def scan(
    target: Target,
    again: Annotated[bool, typer.Option("--again", help="Have it scanned anew by the rules of now.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what loading a version's files would run. The exit code is 1 where that is suspicious."""
    client = connect(url)
    name, version = split(target)
    path = f"{path_of(name, version or '@latest', client=client)}/scan"
    if again:
        print(f"job {client.post(path, {})['job']}")
        return
    found = client.get(path)
    if json:
        show_json(found)
    else:
        print(f"{found['verdict']} ({when(found['at_us'])})")
        for stranger in found["strangers"]:
            print(f"  imports {stranger}")
        for problem in found["problems"]:
            print(f"  {problem}")
    if found["verdict"] == "suspicious":
        raise typer.Exit(1)


def _compared(key: str, value: Any) -> str:
    """Return a value of a comparison as a cell."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        interval = f" [{value['low']:.4g}, {value['high']:.4g}]" if value["low"] is not None else ""
        return f"{value['estimate']:.4g}{interval}"
    if key == "size_bytes":
        return size(value)
    return when(value) if key.endswith("_us") else "yes" if value is True else str(value)
