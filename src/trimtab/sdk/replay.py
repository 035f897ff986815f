"""Sends what processes left behind that were killed, crashed or ended while the server was away."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.time import now_us
from trimtab.sdk import spool
from trimtab.sdk.client import Client
from trimtab.sdk.delivery import Delivery, Outcome
from trimtab.sdk.spool import Head
from trimtab.sdk.spool_reader import ENDED, Found, Reader, claim, heads


class Sent(msgspec.Struct, frozen=True):
    """What became of a spool: "done", or why it still waits."""

    run_id: str
    url: str
    folder: str
    outcome: Outcome
    entries: int
    refused: int
    waiting_bytes: int
    reason: str


class Waiting(msgspec.Struct, frozen=True):
    """A spool as it lies there; a live one is being written or sent by a process now."""

    run_id: str
    url: str
    folder: str
    host: str
    created_us: int
    waiting_bytes: int
    live: bool


def waiting(folder: Path | None = None) -> list[Waiting]:
    """Return the spools in a folder (None: this user's), the oldest first."""
    found: list[Waiting] = []
    for each, head in heads(folder or spool.root()):
        taken = claim(each, head)
        if taken is not None:
            taken.__exit__()
        size = sum(file.stat().st_size for file in [*each.glob("*.log"), *each.glob("files/*")])
        found.append(
            Waiting(head.run_id, head.url, str(each), head.host, head.created_us, size, taken is None)
        )
    return found


def sync(
    client: Client,
    *,
    folder: Path | None = None,
    any_server: bool = False,
    tell: Callable[[str], None] | None = None,
) -> list[Sent]:
    """Send every spool that no process writes; ``any_server`` sends those meant for other addresses too."""

    def wanted(head: Head) -> bool:
        return any_server or head.url == client.url

    return adopt(client, folder=folder, wanted=wanted, tell=tell or _silent)


def adopt(
    client: Client,
    *,
    folder: Path | None,
    wanted: Callable[[Head], bool],
    tell: Callable[[str], None],
    resuming: str | None = None,
    stop: Callable[[], bool] = bool,
) -> list[Sent]:
    """Send the wanted spools that no process writes, the oldest first, until the server is not reached.

    The run that ``resuming`` names goes on and is not marked as lost.
    """
    made: list[Sent] = []
    for each, head in heads(folder or spool.root()):
        if stop():
            break
        taken = claim(each, head) if wanted(head) else None
        if taken is None:
            continue
        with taken:
            made.append(_deliver(taken, client, tell=tell, goes_on=head.run_id == resuming, stop=stop))
        if made[-1].outcome in ("away", "barred"):
            break
    return made


def _deliver(
    found: Found, client: Client, *, tell: Callable[[str], None], goes_on: bool, stop: Callable[[], bool]
) -> Sent:
    reader = Reader(found.folder)
    delivery = Delivery(found.head, reader, client, tell=tell)
    last_us = max([int(file.stat().st_mtime * 1e6) for file in found.folder.glob("*.log")], default=now_us())
    outcome = delivery.pump(stop)
    if outcome == "done" and found.head.owner and not goes_on and not reader.flags & ENDED:
        try:
            delivery.mark_lost(last_us)
        except TrimtabError as error:
            outcome, delivery.reason = "away", error.message
    left = reader.left()
    reader.close()
    if outcome == "done":
        found.remove()
    if reader.damaged:
        tell(f"Part of what was logged to run {found.head.run_id} was cut short on the disk and is lost.")
    return Sent(
        run_id=found.head.run_id,
        url=found.head.url,
        folder=str(found.folder),
        outcome=outcome,
        entries=delivery.sent,
        refused=delivery.refused,
        waiting_bytes=left,
        reason=delivery.reason,
    )


def in_background(client: Client, *, folder: Path | None, but: str) -> threading.Thread:
    """Start to send what others on this machine left for the same server, except to one run; return the thread."""

    def wanted(head: Head) -> bool:
        return head.url == client.url and head.host == spool.host() and head.run_id != but

    def work() -> None:
        with client.again() as connection:
            adopt(connection, folder=folder, wanted=wanted, tell=_silent)

    thread = threading.Thread(target=_quietly, args=(work,), name="trimtab-replay", daemon=True)
    thread.start()
    return thread


def _quietly(work: Callable[[], Any]) -> None:
    with contextlib.suppress(Exception):  # the leftovers of others never disturb this training; they stay
        work()


def _silent(_: str) -> None:
    pass
