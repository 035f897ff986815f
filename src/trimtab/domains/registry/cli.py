"""Commands for models: list, show, versions, tags, download, remove; those of other nouns are written with these."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.domains.registry.aliases import cli as aliases
from trimtab.domains.registry.compilation import cli as compilation
from trimtab.domains.registry.evidence import cli as evidence
from trimtab.domains.registry.runtimes import cli as runtimes
from trimtab.domains.registry.targets import Target, path_of, split
from trimtab.kernel.errors import Invalid
from trimtab.sdk import models as sdk
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when

models = typer.Typer(no_args_is_help=True)
models.command("environment")(runtimes.environment)


@models.command("ls")
def list_models(
    filter: Annotated[  # noqa: A002 - the name of the option
        str, typer.Option(help="For example: name LIKE 'fl%' AND tags.team = 'ops'")
    ] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """List registered models."""
    items = [*connect(url).items("/models", filter=filter or None)]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["name"],
            item["latest_version"],
            ", ".join(f"{alias}={version}" for alias, version in item["aliases"].items()),
            when(item["updated_us"]),
        )
        for item in items
    ]
    show_table(
        ["name", "latest", "aliases", "updated"],
        rows,
        empty="No models. trimtab.models.log(model, register=NAME) registers one.",
    )


@models.command("show")
def show(target: Target, url: Url = None, json: Json = False) -> None:
    """Show a model, or a version with what is known of it."""
    client = connect(url)
    name, version = split(target)
    if version is None:
        found = client.get(f"/models/{quote(name, safe='')}")
        shown = _model_lines(found)
    else:
        found = client.get(path_of(name, version))
        shown = _version_lines(found) + _compiled(client, found)
    if json:
        show_json(found)
        return
    for label, value in shown:
        print(f"{label:<12}{value}")


@models.command("versions")
def versions(name: str, url: Url = None, json: Json = False) -> None:
    """List the versions of a model, the newest first."""
    items = [*connect(url).items(f"/models/{quote(name, safe='')}/versions")]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["version"],
            ", ".join(item["aliases"]),
            item["format"] if item["safe"] else f"{item['format']} (unsafe)",
            size(item["size_bytes"]),
            ", ".join(f"{key}={value:.4g}" for key, value in item["metrics"].items() if value is not None),
            when(item["created_us"]),
            item["created_by"],
        )
        for item in items
    ]
    columns = ["version", "aliases", "format", "size", "metrics", "created", "by"]
    show_table(columns, rows, empty=f"{name} has no versions.")


models.command("alias")(aliases.alias)
models.command("compare")(evidence.compare)
models.command("scan")(evidence.scan)
models.command("compile")(compilation.compile_version)
models.command("environments")(aliases.environments)


@models.command("tag")
def tag(
    target: Target,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="KEY alone with --remove.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the tags with these keys.")] = False,
    url: Url = None,
) -> None:
    """Set or remove tags of a model or of a version."""
    client = connect(url)
    root = f"{path_of(*split(target), client=client)}/tags"
    pairs = [(key, value, bool(equals)) for key, equals, value in (one.partition("=") for one in tags)]
    for key, _, has_value in pairs:
        if not key or has_value == remove:
            raise Invalid(
                "Give KEY alone with --remove." if remove else "Give tags as KEY=VALUE.", field="tags"
            )
    for key, value, _ in pairs:
        if remove:
            client.delete(f"{root}/{quote(key)}")
        else:
            client.put(f"{root}/{quote(key)}", {"value": value})


@models.command("download")
def download(
    uri: Annotated[str, typer.Argument(metavar="URI", help="NAME, NAME/VERSION, NAME@ALIAS or models:/m-ID")],
    dest: Annotated[Path, typer.Argument(help="The folder to write; it must be empty or not there.")],
    url: Url = None,
) -> None:
    """Write a model's files into a folder, complete and checked, or not at all."""
    print(sdk.download(uri, dest, client=connect(url)))


@models.command("rm")
def remove(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
) -> None:
    """Delete a version, or a model with all its versions; their numbers are not used again."""
    client = connect(url)
    name, version = split(target)
    path = path_of(name, version, client=client)
    if not yes:
        what = (
            f"{name} with all its versions"
            if version is None
            else f"{name} version {path.rpartition('/')[2]}"
        )
        typer.confirm(f"Delete {what}?", abort=True)
    client.delete(path)


def _model_lines(model: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("name", model["name"]),
        ("description", model["description"]),
        ("latest", str(model["latest_version"] or "none yet")),
        *[("alias", f"{alias} = {version}") for alias, version in model["aliases"].items()],
        *[("tag", f"{key} = {value}") for key, value in model["tags"].items()],
        ("created", f"{when(model['created_us'])} by {model['created_by']}"),
        ("updated", when(model["updated_us"])),
    ]


def _version_lines(version: dict[str, Any]) -> list[tuple[str, str]]:
    signature = version["signature"] or {}
    safe = "safe to load" if version["safe"] else f"unsafe: {'; '.join(version['unsafe_because'])}"
    named = f": imports {', '.join(version['strangers'])}" if version["strangers"] else ""
    return [
        ("version", f"{version['name']}/{version['version']}"),
        ("description", version["description"]),
        ("format", f"{version['format']} ({safe})"),
        ("scan", f"{version['verdict']}{named}"),
        ("size", f"{size(version['size_bytes'])} in {version['files']} files"),
        ("digest", version["digest"]),
        ("run", version["run_id"] or ""),
        ("source", version["source"]),
        *[("data", ref) for ref in version["data"]],
        *[("alias", alias) for alias in version["aliases"]],
        *[("tag", f"{key} = {value}") for key, value in version["tags"].items()],
        *[("metric", f"{key} = {value}") for key, value in version["metrics"].items()],
        *[("input", _column(column)) for column in signature.get("inputs") or []],
        *[("output", _column(column)) for column in signature.get("outputs") or []],
        ("created", f"{when(version['created_us'])} by {version['created_by']}"),
    ]


def _compiled(client: Any, version: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of a version's compiled form, nothing where nobody tried."""
    found = client.get(f"{path_of(version['name'], str(version['version']))}/compilation")
    return compilation.compilation_lines(found)[:1] if found["state"] != "none" else []


def _column(spec: dict[str, Any]) -> str:
    kind = spec.get("type", "")
    if kind == "tensor":
        tensor = spec.get("tensor-spec") or {}
        kind = f"{tensor.get('dtype')} {tensor.get('shape')}"
    return f"{spec.get('name', '')} {kind}{'' if spec.get('required', True) else ', may be missing'}".strip()
