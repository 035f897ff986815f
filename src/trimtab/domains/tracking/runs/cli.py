"""Commands that send what runs left on this machine, and that run a run again."""

from pathlib import Path
from typing import Annotated

import typer

from trimtab.kernel.errors import Unavailable
from trimtab.sdk.client import connect
from trimtab.sdk.terminal import show_json, show_table, size, when

Url = Annotated[str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sync(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="The folder of the spools; default TRIMTAB_SPOOL or the user's."),
    ] = None,
    any_server: Annotated[
        bool, typer.Option("--any-server", help="Also what was meant for servers at other addresses.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Only list what waits.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Send what runs left on this machine: after a crash, or a day without the server."""
    from trimtab.sdk import replay

    if show:
        waiting = replay.waiting(folder)
        if json:
            show_json(waiting)
            return
        rows = [
            (
                one.run_id,
                when(one.created_us),
                one.url,
                one.host,
                size(one.waiting_bytes),
                "yes" if one.live else "",
            )
            for one in waiting
        ]
        show_table(["run", "begun", "server", "host", "size", "in use"], rows, empty="Nothing waits.")
        return
    client = connect(url)
    told: list[str] = []
    sent = replay.sync(client, folder=folder, any_server=any_server, tell=told.append)
    if json:
        show_json({"sent": sent, "told": told})
    else:
        rows = [(one.run_id, one.outcome, one.entries, one.reason) for one in sent]
        show_table(["run", "", "entries", ""], rows, empty="Nothing waits for this server.")
        for line in told:
            print(line)
    others = [one for one in replay.waiting(folder) if one.url != client.url]
    if others and not any_server and not json:
        addresses = ", ".join(sorted({one.url for one in others}))
        print(f"{len(others)} more wait for {addresses}; --any-server sends them to {client.url}.")
    if any(one.outcome in ("away", "barred") for one in sent):
        raise Unavailable(next(one.reason for one in sent if one.outcome in ("away", "barred")))
    if any(one.outcome == "refused" for one in sent):
        raise typer.Exit(1)


def register(runs: typer.Typer) -> None:
    """Add the commands to ``trimtab runs``."""
    runs.command("sync")(sync)
