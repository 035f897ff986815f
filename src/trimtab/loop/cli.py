"""Commands for the trash, for legal holds, and for the collection of garbage."""

import re
import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.kernel.time import DAY_US, SECOND_US
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, size, when

trash = typer.Typer(no_args_is_help=True)
holds = typer.Typer(no_args_is_help=True)

_AGE = re.compile(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?")
_UNITS_US = (DAY_US, 3600 * SECOND_US, 60 * SECOND_US, SECOND_US)
_LABELS = {
    "experiments": "experiments",
    "runs": "runs",
    "logged_models": "logged models",
    "artifacts": "deleted artifacts",
    "models": "registered models",
    "model_versions": "model versions",
    "traces": "traces",
    "evaluation_datasets": "evaluation data sets",
    "files": "files",
    "held": "kept by legal holds",
    "blobs": "blobs without any use",
    "environments": "environments of models",
}


@trash.command("ls")
def list_trash(
    kind: Annotated[
        str | None, typer.Option(help="experiment, run, logged-model, artifact, model or model-version")
    ] = None,
    limit: int = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List what was deleted and can come back."""
    items = connect(url).get("/trash", kind=kind, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["ref"],
            item["name"],
            when(item["deleted_us"]),
            item["deleted_by"],
            "held" if item["held"] else when(item["purge_us"]),
            size(item["size_bytes"]),
        )
        for item in items
    ]
    show_table(["ref", "name", "deleted", "by", "goes", "size"], rows, empty="The trash is empty.")


@trash.command("restore")
def restore(
    refs: Annotated[list[str], typer.Argument(help="As trash ls shows them.")], url: Url = None
) -> None:
    """Bring things back."""
    connect(url).post("/trash/restore", {"refs": refs})


@trash.command("purge")
def purge(
    refs: Annotated[list[str], typer.Argument(help="As trash ls shows them.")], url: Url = None
) -> None:
    """Remove things for good before their time."""
    connect(url).post("/trash/purge", {"refs": refs})


@holds.command("ls")
def list_holds(url: Url = None, json: Json = False) -> None:
    """List legal holds."""
    items = connect(url).get("/holds")["items"]
    if json:
        show_json(items)
        return
    rows = [(item["ref"], item["reason"], when(item["placed_us"]), item["placed_by"]) for item in items]
    show_table(["ref", "reason", "placed", "by"], rows, empty="Nothing is held.")


@holds.command("place")
def place_hold(
    ref: Annotated[str, typer.Argument(help="Such as run:ID, experiment:ID, model:NAME, data:NAME@VERSION.")],
    reason: Annotated[str, typer.Option(help="Why; the audit trail keeps it.")],
    url: Url = None,
) -> None:
    """Keep something, and all that belongs to it, from ever being purged."""
    connect(url).put(f"/holds/{quote(ref)}", {"reason": reason})


@holds.command("release")
def release_hold(
    ref: str,
    reason: Annotated[str, typer.Option(help="Why; the audit trail keeps it.")] = "",
    url: Url = None,
) -> None:
    """End a legal hold."""
    connect(url).delete(f"/holds/{quote(ref)}?reason={quote(reason)}")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    older_than: Annotated[
        str | None, typer.Option(help="7d, 12h, 2d6h: longer in the trash than this; default trash_days.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Also write the database file anew, while others wait.")
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Purge what lay in the trash long enough, and return the space of all that nothing needs any more."""
    client = connect(url)
    body: dict[str, Any] = {"dry_run": dry_run, "compact": compact}
    if older_than is not None:
        body["older_than_us"] = age_us(older_than)
    found = client.post("/gc", body)
    while found["state"] in ("queued", "running"):
        time.sleep(0.2)
        found = client.get(f"/gc/{found['id']}")
    if json:
        show_json(found)
    else:
        _show(found)
    if found["state"] != "done":
        raise Unavailable(f"The collection failed: {found['error']}")


def _show(found: dict[str, Any]) -> None:
    report = found["report"]
    rows: list[tuple[str, Any]] = [(label, report[key]) for key, label in _LABELS.items() if report[key]]
    rows.append(("bytes on the disk", size(report["blob_bytes"])))
    if report["environments"]:
        rows.append(("bytes of environments", size(report["environment_bytes"])))
    if report["database_bytes"]:
        rows.append(("bytes of the database", size(report["database_bytes"])))
    show_table(["would go" if found["dry_run"] else "gone", ""], rows, empty="")


def age_us(text: str) -> int:
    """Return a time such as ``2d8h5m20s`` in microseconds; raises Invalid.

    >>> age_us("1m0.5s")
    60500000
    """
    match = _AGE.fullmatch(text)
    if not text or match is None:
        raise Invalid(f"{text!r} is no time such as 7d, 12h or 2d8h5m20s.", field="older_than")
    try:
        return round(
            sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_US, strict=True) if part)
        )
    except ValueError as error:
        raise Invalid(f"{text!r} is no time such as 7d, 12h or 2d8h5m20s.", field="older_than") from error
