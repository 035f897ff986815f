"""Commands for models: list, show, versions, aliases with their history, tags, download, remove."""

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from trimtab.domains.registry.runtimes import cli as runtimes
from trimtab.kernel.errors import Invalid
from trimtab.sdk import models as sdk
from trimtab.sdk.client import connect
from trimtab.sdk.terminal import show_json, show_table, size, when

models = typer.Typer(no_args_is_help=True)
models.command("environment")(runtimes.environment)

Url = Annotated[str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Target = Annotated[
    str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]", help="A model, or one version of it.")
]


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
    name, version = _split(target)
    if version is None:
        found = client.get(f"/models/{quote(name, safe='')}")
        shown = _model_lines(found)
    else:
        found = client.get(_path(name, version))
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


@models.command("alias")
def alias(
    name: str,
    alias: Annotated[
        str | None, typer.Argument(help="Without it, the history of all aliases is shown.")
    ] = None,
    version: Annotated[int | None, typer.Argument(help="The version that the alias shall point to.")] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for those who read the history.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Point an alias to a version, remove it, or show who moved which alias when and why."""
    client = connect(url)
    path = f"/models/{quote(name, safe='')}/aliases"
    if alias is None:
        _show_history([*client.items(f"{path}/history")], json=json)
        return
    if remove == (version is not None):
        raise Invalid("Give either the version that the alias shall point to, or --remove.", field="version")
    if remove:
        client.delete(f"{path}/{quote(alias, safe='')}?reason={quote(reason, safe='')}")
        return
    moved = client.put(f"{path}/{quote(alias, safe='')}", {"version": version, "reason": reason})
    if json:
        show_json(moved)
    else:
        print(f"{name}@{alias} is version {moved['version']}")


@models.command("compare")
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


@models.command("scan")
def scan(
    target: Target,
    again: Annotated[bool, typer.Option("--again", help="Have it scanned anew by the rules of now.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what loading a version's files would run. The exit code is 1 where that is suspicious."""
    client = connect(url)
    name, version = _split(target)
    path = f"{_path(name, version or '@latest', client=client)}/scan"
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


@models.command("compile")
def compile_version(
    target: Target,
    number: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="The version, where NAME is given alone.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdict and show it.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show what is known by now.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Have a version compiled, or show what came of it. With a verdict, the exit code is 1 unless it is compiled."""
    client = connect(url)
    name, version = _split(target if number is None else f"{target}/{number}")
    path = f"{_path(name, version or '@latest', client=client)}/compilation"
    if not show:
        job = client.post(path, {})["job"]
        if not wait:
            print(f"job {job}")
            return
    found = client.get(path)
    while found["state"] == "pending" and not show:
        time.sleep(0.3)
        found = client.get(path)
    if json:
        show_json(found)
    else:
        for label, value in compilation_lines(found):
            print(f"{label:<12}{value}")
    if found["state"] != "compiled":
        raise typer.Exit(1)


@models.command("environments")
def environments(
    name: str,
    file: Annotated[
        Path | None, typer.Option("--set", help="A JSON file with the environments and their rules.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why the rules change.")] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Show a model's environments and the version in each, or set them. 'models alias' moves a version into one."""
    client = connect(url)
    path = f"/models/{quote(name, safe='')}/environments"
    if file is not None:
        try:
            rules = msgspec.json.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise Invalid(f"{file}: {error}", field="set") from error
        items = client.put(path, {"environments": rules, "reason": reason})["items"]
    else:
        items = client.get(path)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["environment"]["name"],
            item["version"] or "-",
            when(item["since_us"]) if item["since_us"] else "",
            item["by"] or "",
            _rules(item["environment"]),
            item["reason"],
        )
        for item in items
    ]
    columns = ["environment", "version", "since", "by", "rules", "why"]
    show_table(columns, rows, empty=f"{name} has no environments; any alias may be moved by an editor.")


@models.command("tag")
def tag(
    target: Target,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="KEY alone with --remove.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the tags with these keys.")] = False,
    url: Url = None,
) -> None:
    """Set or remove tags of a model or of a version."""
    client = connect(url)
    root = f"{_path(*_split(target), client=client)}/tags"
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
    name, version = _split(target)
    path = _path(name, version, client=client)
    if not yes:
        what = (
            f"{name} with all its versions"
            if version is None
            else f"{name} version {path.rpartition('/')[2]}"
        )
        typer.confirm(f"Delete {what}?", abort=True)
    client.delete(path)


def _split(target: str) -> tuple[str, str | None]:
    """Return (name, what follows it): a number, an alias with its ``@``, or None."""
    text = target.removeprefix("models:/")
    name, slash, version = text.rpartition("/")
    if slash:
        if not name or not (version == "latest" or (version.isascii() and version.isdigit())):
            raise Invalid(f"{target[:200]!r} is not NAME, NAME/VERSION or NAME@ALIAS.", field="target")
        return name, "@latest" if version == "latest" else version
    name, at, alias = text.rpartition("@")
    if at and (not name or not alias):
        raise Invalid(f"{target[:200]!r} is not NAME, NAME/VERSION or NAME@ALIAS.", field="target")
    return (name, f"@{alias}") if at else (text, None)


def _path(name: str, version: str | None, *, client: Any = None) -> str:
    """Return the path of a model or version; with a client, an alias is looked up."""
    root = f"/models/{quote(name, safe='')}"
    if version is None:
        return root
    if not version.startswith("@"):
        return f"{root}/versions/{version}"
    path = f"{root}/aliases/{quote(version[1:], safe='')}"
    return path if client is None else f"{root}/versions/{client.get(path)['version']}"


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
    found = client.get(f"{_path(version['name'], str(version['version']))}/compilation")
    return compilation_lines(found)[:1] if found["state"] != "none" else []


def compilation_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a compilation as labelled lines."""
    verdict = found["verdict"]
    if verdict is None:
        return [("compiled", "under way" if found["state"] == "pending" else "nobody tried")]
    lines = [("compiled", verdict["message"] if found["state"] != "pending" else "under way again")]
    if verdict["rows"]:
        counted = ", ".join(f"{count:,} {kind}" for kind, count in verdict["rows"].items())
        lines.append(("compared", f"{counted} rows; both refused {verdict['refused']}"))
    if verdict["largest"]:
        lines.append(("difference", f"at most {verdict['largest']['share']:.3g} of what is tolerated"))
    lines += [
        (
            "one row" if one["rows"] == 1 else f"{one['rows']:,} rows",
            f"{one['native_us']:,.0f} us native, {one['compiled_us']:,.0f} us compiled",
        )
        for one in verdict["timings"]
    ]
    return lines


def _column(spec: dict[str, Any]) -> str:
    kind = spec.get("type", "")
    if kind == "tensor":
        tensor = spec.get("tensor-spec") or {}
        kind = f"{tensor.get('dtype')} {tensor.get('shape')}"
    return f"{spec.get('name', '')} {kind}{'' if spec.get('required', True) else ', may be missing'}".strip()


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


def _rules(environment: dict[str, Any]) -> str:
    rules = [
        environment["role"],
        f"after {environment['after']}" if environment["after"] else "",
        "passed gate" if environment["needs_gate"] else "",
        "/".join(environment["verdicts"]),
    ]
    return ", ".join(rule for rule in rules if rule)


def _show_history(moves: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        show_json(moves)
        return
    rows = [
        (
            when(move["at_us"]),
            move["alias"],
            move["previous"] or "-",
            move["version"] or "-",
            move["actor"],
            move["reason"],
        )
        for move in moves
    ]
    show_table(["at", "alias", "from", "to", "who", "why"], rows, empty="No alias was ever set.")
