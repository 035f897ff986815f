"""Commands for endpoints."""

import time
from typing import Annotated, Any

import typer

from trimtab.domains.deploy.exports import cli as exports
from trimtab.domains.deploy.settings import cli as settings
from trimtab.kernel.errors import Conflict, Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

endpoints = typer.Typer(no_args_is_help=True)
endpoints.command("export")(exports.export)
endpoints.command("package")(exports.package)
endpoints.command("verify")(exports.verify)
endpoints.command("signing-key")(exports.signing_key)
endpoints.command("set")(settings.change)
endpoints.command("settings")(settings.show)
endpoints.command("policy")(settings.anonymise)

Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]


@endpoints.command("deploy")
def deploy(
    name: str,
    model: Annotated[str, typer.Argument(help="models:/NAME/VERSION or models:/NAME@alias")],
    weight: Annotated[float, typer.Option(help="Percent of the requests once it is ready.")] = 100.0,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it answers.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at the most.")] = 120.0,
    allow_pickle: Annotated[
        bool, typer.Option(help="Load unsafe formats, which run code from the file.")
    ] = False,
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Leave the network to the model's process.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Run it as its author saved it, also where it was compiled.")
    ] = False,
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Have a registered model answer at an endpoint."""
    client = connect(url)
    body = {
        "model": model,
        "weight": weight,
        "allow_pickle": allow_pickle,
        "native": native,
        "allow_network": allow_network,
        "reason": reason,
    }
    view = client.post(f"/endpoints/{name}/deploy", body)
    if wait:
        view = _wait(client, name, timeout)
    if json:
        show_json(view)
    else:
        _print(view)


@endpoints.command("release")
def release(
    name: str,
    model: Annotated[str, typer.Argument(help="models:/NAME/VERSION")],
    evaluation: Annotated[str, typer.Option(help="Data version to gate it on, such as data:flights@3.")],
    champion_evaluation: Annotated[
        str | None, typer.Option(help="The champion's own view of the same rows, where its features differ.")
    ] = None,
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Send a version through gate, canary and judge."""
    body = {
        "model": model,
        "evaluation": evaluation,
        "champion_evaluation": champion_evaluation,
        "reason": reason,
    }
    episode = connect(url).post(f"/endpoints/{name}/releases", body)
    if json:
        show_json(episode)
    else:
        print(
            f"{episode['title']}: {episode['state']}. 'trimtab timeline --episode {episode['id']}' tells how it goes."
        )


@endpoints.command("traffic")
def traffic(
    name: str,
    split: Annotated[list[str], typer.Argument(help="VERSION=PERCENT ...")],
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Split the requests over versions."""
    view = connect(url).post(f"/endpoints/{name}/traffic", {"traffic": _split(split), "reason": reason})
    if json:
        show_json(view)
    else:
        _print(view)


@endpoints.command("rollback")
def rollback(name: str, reason: Reason = "", url: Url = None, json: Json = False) -> None:
    """Undo the newest change of who answers, at once."""
    view = connect(url).post(f"/endpoints/{name}/rollback", {"reason": reason})
    if json:
        show_json(view)
    else:
        _print(view)


@endpoints.command("ls")
def list_endpoints(url: Url = None, json: Json = False) -> None:
    """List endpoints."""
    items = connect(url).get("/endpoints")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["name"],
            item["state"],
            item["model"],
            _weights(item),
            item["requests_1m"],
            when(item["updated_us"]),
        )
        for item in items
    ]
    columns = ["name", "state", "model", "traffic", "requests/min", "changed"]
    show_table(
        columns, rows, empty="No endpoints. 'trimtab endpoints deploy NAME models:/MODEL/1' makes one."
    )


@endpoints.command("show")
def show(name: str, url: Url = None, json: Json = False) -> None:
    """Show an endpoint, its versions and its last changes."""
    client = connect(url)
    view = client.get(f"/endpoints/{name}")
    if json:
        show_json(view)
        return
    _print(view)
    changes = client.get(f"/endpoints/{name}/history", limit=10)["items"]
    rows = [(when(one["at_us"]), one["actor"], one["action"], one["after"], one["reason"]) for one in changes]
    show_table(["at", "who", "what", "traffic after", "why"], rows, empty="No changes yet.")


@endpoints.command("logs")
def logs(
    name: str,
    version: Annotated[str | None, typer.Option(help="Default: the champion.")] = None,
    lines: int = 100,
    url: Url = None,
) -> None:
    """Print the last lines of a version's replica."""
    for line in connect(url).get(f"/endpoints/{name}/logs", version=version, lines=lines)["lines"]:
        print(line)


@endpoints.command("rm")
def remove(
    name: str,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
) -> None:
    """Stop an endpoint, or one version of it."""
    what = f"version {version} of endpoint {name}" if version else f"endpoint {name} and all its replicas"
    if not yes:
        typer.confirm(f"Stop {what}?", abort=True)
    connect(url).delete(f"/endpoints/{name}" + (f"?version={version}" if version else ""))


def _wait(client: Client, name: str, timeout_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        view = client.get(f"/endpoints/{name}")
        failed = [one for one in view["versions"] if one["state"] == "failed"]
        if failed and all(one["state"] != "starting" for one in view["versions"]):
            raise Conflict(f"Version {failed[-1]['version']} failed: {failed[-1]['error']}")
        if view["state"] == "ready" and all(one["state"] == "ready" for one in view["versions"]):
            return view
        time.sleep(0.1)
    raise Unavailable(
        f"Endpoint {name} was not ready within {timeout_s:g} s; 'trimtab endpoints logs {name}' may say why."
    )


def _split(parts: list[str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in parts:
        version, equals, weight = part.partition("=")
        try:
            weights[version] = float(weight)
        except ValueError:
            equals = ""
        if not equals or not version:
            raise Invalid(f"{part!r} is not VERSION=PERCENT, such as 3=90.", field="traffic")
    return weights


def _weights(view: dict[str, Any]) -> str:
    return (
        "  ".join(f"{one['version']}={one['weight']:g}%" for one in view["versions"] if one["weight"])
        or "none"
    )


def _print(view: dict[str, Any]) -> None:
    print(f"{view['name']}: {view['state']}, {view['model']} at {view['url']}")
    rows = [
        (
            one["version"],
            one["role"],
            f"{one['weight']:g} %",
            one["state"],
            one["pid"],
            (one["environment"] or "")[:8],
            one["network"],
            one["error"],
        )
        for one in view["versions"]
    ]
    columns = ["version", "role", "traffic", "state", "pid", "python", "network", "error"]
    show_table(columns, rows, empty="It serves no version.")
