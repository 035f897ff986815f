"""The command for the environment of a version."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.kernel.errors import Conflict, Unavailable
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, size, when


def environment(
    name: str,
    version: int,
    build: Annotated[bool, typer.Option("--build", help="Have it made, or made again.")] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Use the server's own packages, whatever the model asks for.")
    ] = False,
    allow_sources: Annotated[
        bool,
        typer.Option(
            "--allow-sources", help="Install from addresses, repositories, paths and source archives."
        ),
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load an unsafe format to try it, which runs code.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when it is made and tried.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at the most.")] = 900.0,
    lock: Annotated[bool, typer.Option("--lock", help="Print the lock alone.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show in which Python and with which packages a version is loaded, or have its environment made."""
    client = connect(url)
    path = f"/models/{quote(name, safe='')}/versions/{version}/environment"
    if build or own or allow_sources or allow_pickle:
        body = {"own": own, "allow_sources": allow_sources, "allow_pickle": allow_pickle}
        found = client.post(path, body)
        deadline = time.monotonic() + timeout
        while wait and found["state"] == "pending":
            if time.monotonic() > deadline:
                raise Unavailable(f"It was not made within {timeout:g} s; it goes on in the background.")
            time.sleep(0.1)
            found = client.get(path)
    else:
        found = client.get(path)
    if json:
        show_json(found)
    elif lock:
        print(found["lock"], end="")
    else:
        _print(found)
    if found["state"] == "failed" and build:
        raise Conflict(f"{name} version {version} has no environment.")


def _print(found: dict[str, Any]) -> None:
    lines = [
        ("state", found["state"]),
        ("", found["message"]),
        ("python", found["python"]),
        ("asks for", ", ".join(found["asked"])),
    ]
    if found["key"]:
        steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in found["took"].items())
        packages = sum("==" in line for line in found["lock"].splitlines())
        lines += [
            ("environment", f"{found['key']} ({packages} packages, {size(found['size_bytes'])})"),
            ("trial", found["trial"]),
            ("took", f"{found['took_s']:.2f} s ({steps})"),
        ]
    if found["updated_us"]:
        lines.append(("settled", f"{when(found['updated_us'])} by {found['updated_by']}"))
    for label, value in lines:
        if value:
            print(f"{label:<12}{value}")
