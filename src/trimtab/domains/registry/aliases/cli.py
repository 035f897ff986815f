"""The commands for aliases with their history, and for a model's environments."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when


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
