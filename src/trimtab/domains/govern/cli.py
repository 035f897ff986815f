"""Commands for tokens and the audit trail."""

from typing import Annotated

import typer

from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

tokens = typer.Typer(no_args_is_help=True)
audit = typer.Typer(no_args_is_help=True)


@tokens.command("create")
def create_token(
    name: str,
    role: Annotated[str, typer.Option(help="viewer, editor, approver or admin")] = "editor",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="Make it a key to this endpoint at the inference port, and to nothing else; may repeat."
        ),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make a token and print it, this once."""
    made = connect(url).post("/tokens", {"name": name, "role": role, "endpoints": endpoint or None})
    if json:
        show_json(made)
    else:
        print(made["token"])


@tokens.command("ls")
def list_tokens(url: Url = None, json: Json = False) -> None:
    """List tokens."""
    items = connect(url).get("/tokens")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["id"],
            item["name"],
            item["role"],
            ", ".join(item["endpoints"] or ["all"]),
            when(item["created_us"]),
            when(item["revoked_us"]),
        )
        for item in items
    ]
    show_table(
        ["id", "name", "role", "endpoints", "created", "revoked"],
        rows,
        empty="No tokens. 'trimtab tokens create NAME' makes one.",
    )


@tokens.command("revoke")
def revoke_token(token_id: str, url: Url = None) -> None:
    """End a token at once."""
    connect(url).delete(f"/tokens/{token_id}")


@audit.command("ls")
def list_audit(
    subject: Annotated[str | None, typer.Option(help="Only acts on this object.")] = None,
    limit: int = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List the newest acts."""
    items = connect(url).get("/audit", subject=subject, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (item["seq"], when(item["at_us"]), item["actor"], item["action"], item["subject"]) for item in items
    ]
    show_table(["seq", "at", "who", "what", "on"], rows, empty="Nothing has been recorded yet.")


@audit.command("verify")
def verify_audit(url: Url = None, json: Json = False) -> None:
    """Recompute the hash chain; exit 1 when it does not hold."""
    verdict = connect(url).get("/audit/verify")
    if json:
        show_json(verdict)
    elif verdict["ok"]:
        print(f"The audit trail holds: {verdict['checked']} records, head {verdict['head']}.")
    else:
        print(f"The audit trail was changed at record {verdict['first_bad_seq']}.")
    if not verdict["ok"]:
        raise typer.Exit(1)
