"""Commands that send what runs left on this machine, and that run a run again."""

from pathlib import Path
from typing import Annotated

import typer

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when


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


def reproduce(
    run: Annotated[str, typer.Argument(help="The run; the beginning of its id is enough.")],
    env: Annotated[str, typer.Option(help="reuse: this environment; fresh: the locked packages.")] = "reuse",
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where to write the code and keep it; default a temporary folder."),
    ] = None,
    repository: Annotated[
        Path | None, typer.Option("--repo", help="The repository that has the commit.")
    ] = None,
    rtol: Annotated[float, typer.Option(help="By how much of itself a metric may differ.")] = 1e-6,
    atol: Annotated[float, typer.Option(help="By how much a metric may differ.")] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Also where something was not captured.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show what is the same.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Run a run again from its commit, changes, packages, seeds and data, and show what differs.

    Ends with 1 where a metric differs by more than the tolerance.
    """
    from trimtab.sdk.reproduction import reproduce as run_again
    from trimtab.sdk.run_differences import Tolerance

    if env not in ("reuse", "fresh"):
        raise Invalid(f"--env is reuse or fresh, not {env!r}.", field="env")
    client = connect(url)
    done = run_again(
        run_id(client, run),
        env=env,
        folder=folder,
        repository=repository,
        tolerance=Tolerance(rtol, atol),
        force=force,
        quiet=json,
        say=None if json else print,
        client=client,
    )
    if json:
        show_json(done)
    else:
        shown = [
            one for one in done.differences if everything or one.same is not True or one.kind == "metric"
        ]
        rows = [(one.kind, one.name, one.original, one.again, _verdict(one.same), one.note) for one in shown]
        print()
        show_table(
            ["", "", done.original[:8], done.again[:8], "", ""], rows, empty="There was nothing to compare."
        )
        count = sum(one.same is True for one in done.differences)
        print(f"\n{count} of {len(done.differences)} are the same. The new run is {done.again}.")
    if not done.same:
        raise typer.Exit(1)


def run_id(client: Client, given: str) -> str:
    """Return the id of the run that begins so, where there is just one."""
    if len(given) >= 32 or not given.isalnum():
        return given
    items = client.get("/runs", filter=f"run_id LIKE '{given}%'", view="all", limit=2)["items"]
    return items[0]["id"] if len(items) == 1 else given


def _verdict(same: bool | None) -> str:
    return "?" if same is None else "same" if same else "DIFFERS"


def register(runs: typer.Typer) -> None:
    """Add the commands to ``trimtab runs``."""
    runs.command("sync")(sync)
    runs.command("reproduce")(reproduce)
