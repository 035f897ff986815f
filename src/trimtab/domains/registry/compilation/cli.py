"""The command that has a version compiled and shows what came of it."""

import time
from typing import Annotated, Any

import typer

from trimtab.domains.registry.targets import Target, path_of, split
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json


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
    name, version = split(target if number is None else f"{target}/{number}")
    path = f"{path_of(name, version or '@latest', client=client)}/compilation"
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
