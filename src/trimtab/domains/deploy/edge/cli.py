"""Commands for devices: make a bundle, run one, list bundles and devices."""

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.kernel.errors import Conflict, Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when

edge = typer.Typer(no_args_is_help=True)

Channel = Annotated[
    str, typer.Argument(metavar="NAME@ALIAS", help="A model and the alias that devices follow.")
]

_POLL_S = 0.3


@edge.command("bundle")
def bundle(
    model: Channel,
    output: Annotated[Path, typer.Option(help="The zip file to write.")],
    endpoint: Annotated[
        str, typer.Option(help="Name under which monitoring finds the predictions; default NAME-edge.")
    ] = "",
    reference: Annotated[
        str,
        typer.Option(help="Data version whose first rows check the bundle; default: the input example."),
    ] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait at the most.")] = 300.0,
    url: Url = None,
) -> None:
    """Write a signed bundle of what an alias points to; a new one is made whenever the alias moves."""
    client = connect(url)
    name, alias = _split(model)
    body = {"model": f"models:/{name}@{alias}", "endpoint": endpoint, "reference": reference}
    client.post("/edge/bundles", body)
    found = _wait(client, name, alias, timeout)
    beside = output.with_name(f".{output.name}.new")
    try:
        with beside.open("wb") as file:
            for piece in client.download(f"{_path(name, alias)}/file"):
                file.write(piece)
        beside.replace(output)
    except OSError as error:
        raise Unavailable(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)
    from trimtab.serving.edge.verify import fingerprint

    print(
        f"{output}: {name} version {found['version']}, bundle {found['sequence']}, {size(found['size_bytes'])}"
    )
    print(f"key {fingerprint(client.get('/edge/key')['key'])}")


@edge.command(
    "run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def run(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An unpacked bundle.")],
) -> None:
    """Run the runner of an unpacked bundle: predict, serve, sync, check or status."""
    from trimtab.serving.edge.runner import main

    raise typer.Exit(main(context.args or ["--help"], bundle=folder))


@edge.command("ls")
def list_bundles(url: Url = None, json: Json = False) -> None:
    """List bundles."""
    items = connect(url).get("/edge/bundles")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            f"{one['model']}@{one['alias']}",
            one["state"],
            one["sequence"],
            one["version"],
            size(one["size_bytes"]),
            when(one["updated_us"]),
            one["error"],
        )
        for one in items
    ]
    columns = ["bundle", "state", "number", "version", "size", "changed", "problem"]
    show_table(
        columns, rows, empty="No bundles. 'trimtab edge bundle NAME@ALIAS --output FILE.zip' makes one."
    )


@edge.command("devices")
def devices(model: Channel, url: Url = None, json: Json = False) -> None:
    """List the devices that called: what each has in use, and what came of it."""
    name, alias = _split(model)
    items = connect(url).get(f"{_path(name, alias)}/devices")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (one["device"], one["sequence"], one["taken"], one["lost"], when(one["last_us"]), one["problem"])
        for one in items
    ]
    columns = ["device", "bundle", "predictions", "lost", "last call", "problem"]
    show_table(columns, rows, empty="No device has called yet.")


@edge.command("rm")
def remove(model: Channel, url: Url = None) -> None:
    """Make no more bundles for an alias; devices go on with what they have."""
    connect(url).delete(_path(*_split(model)))


def _wait(client: Client, name: str, alias: str, timeout_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = client.get(_path(name, alias))
        if found["state"] == "ready":
            return found
        if found["state"] == "failed":
            raise Conflict(found["error"])
        time.sleep(_POLL_S)
    raise Unavailable(f"The bundle of {name}@{alias} was not made within {timeout_s:g} s.")


def _split(model: str) -> tuple[str, str]:
    name, _, alias = model.removeprefix("models:/").rpartition("@")
    if not name or not alias:
        raise Invalid(f"{model[:200]!r} is not NAME@ALIAS: devices follow an alias.", field="model")
    return name, alias


def _path(name: str, alias: str) -> str:
    return f"/edge/bundles/{quote(name, safe='')}/{quote(alias, safe='')}"
