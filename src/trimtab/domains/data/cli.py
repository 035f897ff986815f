"""Commands for datasets: add, get, list, show, validate, compare, remove."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk import data as sdk
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when

data = typer.Typer(no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="A dataset, at its newest version or this one.")
]


@data.command("add")
def add(
    name: str,
    path: Annotated[Path, typer.Argument(help="A folder or a file.")],
    message: Annotated[
        str, typer.Option("--message", "-m", help="What is new, for those who read it later.")
    ] = "",
    derived_from: Annotated[
        list[str] | None, typer.Option("--from", help="What it was made from, for example data:raw@3.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its validation; exit 1 if that fails.")
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Add a folder or file as the next version; the same content again adds nothing."""
    client = connect(url)
    version = sdk.add(name, path, message=message, derived_from=derived_from or [], client=client)
    if wait:
        version = sdk.wait_validated(name, version.version, client=client)
    if json:
        show_json(version)
    else:
        print(f"{version.name}@{version.version}")
    if wait and version.validation.state == "failed":
        if not json:
            _show_failures(client.get(f"/data/{name}/versions/{version.version}"))
        raise typer.Exit(1)


@data.command("get")
def get(
    name: Name,
    dest: Annotated[Path, typer.Argument(help="The folder to write; it must be empty or not there.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    url: Url = None,
) -> None:
    """Write a version into a folder, complete and checked, or not at all."""
    plain, version = _split(name)
    sdk.get(plain, version, dest, overwrite=overwrite, client=connect(url))


@data.command("ls")
def list_datasets(url: Url = None, json: Json = False) -> None:
    """List datasets."""
    items = list(connect(url).items("/data"))
    if json:
        show_json(items)
        return
    rows = [
        (
            item["name"],
            item["latest_version"],
            item["rows"],
            size(item["size_bytes"]),
            item["validation_state"],
            when(item["updated_us"]),
        )
        for item in items
    ]
    show_table(
        ["name", "version", "rows", "size", "validation", "updated"],
        rows,
        empty="No datasets. 'trimtab data add NAME PATH' adds one.",
    )


@data.command("versions")
def list_versions(name: str, url: Url = None, json: Json = False) -> None:
    """List the versions of a dataset."""
    items = list(connect(url).items(f"/data/{name}/versions"))
    if json:
        show_json(items)
        return
    rows = [
        (
            item["version"],
            item["rows"],
            item["file_count"],
            size(item["size_bytes"]),
            item["validation"]["state"],
            when(item["created_us"]),
            item["created_by"],
            item["message"],
        )
        for item in items
    ]
    show_table(["version", "rows", "files", "size", "validation", "added", "by", "message"], rows, empty="")


@data.command("show")
def show(name: Name, url: Url = None, json: Json = False) -> None:
    """Show a version: its columns, what is in them, and the checks that failed."""
    plain, version = _split(name)
    detail = connect(url).get(f"/data/{plain}/versions/{version or 'latest'}")
    if json:
        show_json(detail)
        return
    print(f"{detail['name']}@{detail['version']}  {detail['digest']}")
    print(f"{detail['file_count']} files, {size(detail['size_bytes'])}, added {when(detail['created_us'])}")
    print(f"validation: {detail['validation']['state']}")
    profile = detail["profile"] or {"tables": [], "unreadable": []}
    for table in profile["tables"]:
        print(f"\n{table['name']}: {table['rows']} rows")
        show_table(
            ["column", "type", "nulls", "distinct", "min", "mean", "max", "most frequent"],
            [_column(column) for column in table["columns"]],
            empty="",
        )
    _show_failures(detail)


@data.command("validate")
def validate(name: Name, url: Url = None, json: Json = False) -> None:
    """Hold a version to the newest expectations again; exit 1 if it fails."""
    plain, version = _split(name)
    client = connect(url)
    asked = client.post(f"/data/{plain}/versions/{version or 'latest'}/validate")
    sdk.wait_validated(plain, asked["version"], client=client)
    detail = client.get(f"/data/{plain}/versions/{asked['version']}")
    if json:
        show_json(detail["validation"])
    else:
        checks = detail["validation"]["checks"]
        passed = sum(check["passed"] for check in checks)
        print(
            f"{plain}@{asked['version']}: {detail['validation']['state']}, {passed} of {len(checks)} checks passed."
        )
        _show_failures(detail)
    if detail["validation"]["state"] == "failed":
        raise typer.Exit(1)


@data.command("expectations")
def expectations(
    name: str,
    replace: Annotated[
        typer.FileText | None, typer.Option("--set", help="JSON file with the expectations from now on.")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what versions are held to, or replace it."""
    client = connect(url)
    if replace is not None:
        try:
            given = msgspec.json.decode(replace.read())
        except msgspec.DecodeError as error:
            raise Invalid(f"{replace.name} is not JSON: {error}.") from error
        listed = given["expectations"] if isinstance(given, dict) and "expectations" in given else given
        suite = client.put(f"/data/{name}/expectations", {"expectations": listed})
    else:
        suite = client.get(f"/data/{name}/expectations")
    if json:
        show_json(suite)
        return
    print(f"{name}: expectations, version {suite['version']}")
    rows = [
        (
            one.get("table"),
            one["kind"],
            one.get("column"),
            one.get("low"),
            one.get("high"),
            ", ".join(one.get("values", [])[:8]),
        )
        for one in suite["expectations"]
    ]
    show_table(["table", "expectation", "column", "low", "high", "values"], rows, empty="None.")


@data.command("compare")
def compare(
    name: str,
    old: Annotated[int, typer.Argument(metavar="FROM")],
    new: Annotated[int | None, typer.Argument(metavar="[TO]", help="Default: the newest.")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Compare two versions: columns, rows, nulls, and how far each distribution moved."""
    found = connect(url).get(f"/data/{name}/compare", **{"from": old, "to": new})
    if json:
        show_json(found)
        return
    for table in found["tables"]:
        print(f"{table['table']}: {table['rows_from']} -> {table['rows_to']} rows")
        rows = [
            (
                column["name"],
                column["change"],
                _arrow(column["type_from"], column["type_to"]),
                _arrow(_share(column["null_share_from"]), _share(column["null_share_to"])),
                None if column["psi"] is None else f"{column['psi']:.3f}",
                column["level"],
            )
            for column in sorted(table["columns"], key=lambda column: -(column["psi"] or 0))
        ]
        show_table(["column", "", "type", "nulls", "psi", ""], rows, empty="")


@data.command("rm")
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
) -> None:
    """Take a version, or without one the whole dataset, out of every listing."""
    plain, version = _split(name)
    if not yes:
        typer.confirm(
            f"Remove {f'version {version}' if version else 'every version'} of {plain}?", abort=True
        )
    connect(url).delete(f"/data/{plain}/versions/{version}" if version else f"/data/{plain}")


def _split(name: str) -> tuple[str, int | None]:
    plain, at, version = name.partition("@")
    if not at or version == "latest":
        return plain, None
    if not (version.isascii() and version.isdigit() and int(version) > 0):
        raise Invalid(f"{version!r} is not a version: a number from 1, or latest.", field="version")
    return plain, int(version)


def _column(column: dict[str, Any]) -> tuple[Any, ...]:
    def told(value: float | None) -> str | None:
        if value is None:
            return None
        return when(int(value)) if column["type"] == "time" else f"{value:.6g}"

    top = ", ".join(f"{one['value']} ({one['count']})" for one in column["top"][:3])
    about = "" if column["distinct_exact"] else "~"
    return (
        column["name"],
        column["type"],
        column["nulls"],
        f"{about}{column['distinct']}",
        told(column["min"]),
        told(column["mean"]),
        told(column["max"]),
        top if column["type"] in ("text", "flag") else None,
    )


def _show_failures(detail: dict[str, Any]) -> None:
    for check in detail["validation"]["checks"]:
        if not check["passed"]:
            print(f"  {'failed ' if check['severity'] == 'error' else 'warning'}  {check['message']}")
    if detail["validation"].get("problem"):
        print(f"  {detail['validation']['problem']}")


def _arrow(old: object, new: object) -> str:
    return str(old) if old == new else f"{old or '-'} -> {new or '-'}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.2%}"
