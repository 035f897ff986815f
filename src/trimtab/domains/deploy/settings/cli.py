"""Commands for what is set for an endpoint: limits, time-outs, caching, and what is not written down."""

from typing import Annotated, Any

import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
Columns = list[str] | None

_DID = {
    "limited": "refused by limits",
    "shed": "sent away because too many waited",
    "retried": "made once more because a replica died",
    "cache_hits": "answered from the cache",
}


def change(
    name: str,
    timeout: Annotated[str | None, typer.Option(help="How long a model may take: 500ms.")] = None,
    max_body: Annotated[str | None, typer.Option(help="The largest body: 4MB.")] = None,
    rate_limit: Annotated[str | None, typer.Option(help="Requests of all callers: 100/s, 600/min.")] = None,
    key_rate_limit: Annotated[str | None, typer.Option(help="Requests of each key: 10/s.")] = None,
    quota: Annotated[str | None, typer.Option(help="Requests in a day or month: 1000000/day.")] = None,
    key_quota: Annotated[str | None, typer.Option(help="Requests of each key in a day or month.")] = None,
    max_in_flight: Annotated[str | None, typer.Option(help="Requests that may wait at once: 200.")] = None,
    retries: Annotated[
        str | None, typer.Option(help="Share of the requests made once more when a replica goes away: 10%.")
    ] = None,
    circuit: Annotated[
        str | None, typer.Option(help="Failures in a row after which a version is left alone: 5.")
    ] = None,
    circuit_open: Annotated[str | None, typer.Option(help="For how long: 2s.")] = None,
    remote_replicas: Annotated[
        str | None, typer.Option(help="Replicas on other hosts: 3=10.0.0.2:7001,3=10.0.0.3:7001.")
    ] = None,
    sticky_by: Annotated[
        str | None, typer.Option(help="Column whose value always meets the same version.")
    ] = None,
    min_replicas: Annotated[
        str | None, typer.Option(help="Processes of a native model at the least; 0 ends an idle one.")
    ] = None,
    max_replicas: Annotated[str | None, typer.Option(help="And at the most, as requests queue: 4.")] = None,
    target_delay: Annotated[
        str | None, typer.Option(help="How long requests may queue before another process starts: 20ms.")
    ] = None,
    idle: Annotated[str | None, typer.Option(help="When an idle process ends: 10min.")] = None,
    explain: Annotated[
        str | None, typer.Option(help="Keep a compiled model's native one for explanations: on.")
    ] = None,
    cache: Annotated[str | None, typer.Option(help="How long answers are kept: 60s.")] = None,
    cache_size: Annotated[str | None, typer.Option(help="Memory for them: 64MiB.")] = None,
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Set limits, time-outs and caching of an endpoint; 'off' and 'default' are values of each."""
    given = {
        "timeout": timeout,
        "max_body": max_body,
        "rate_limit": rate_limit,
        "key_rate_limit": key_rate_limit,
        "quota": quota,
        "key_quota": key_quota,
        "max_in_flight": max_in_flight,
        "retries": retries,
        "circuit": circuit,
        "circuit_open": circuit_open,
        "remote_replicas": remote_replicas,
        "sticky_by": sticky_by,
        "min_replicas": min_replicas,
        "max_replicas": max_replicas,
        "target_delay": target_delay,
        "idle": idle,
        "explain": explain,
        "cache": cache,
        "cache_size": cache_size,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise Invalid(f"Name something to set: {', '.join('--' + key.replace('_', '-') for key in given)}.")
    _show(
        connect(url).patch(f"/endpoints/{name}/settings", {"settings": changes, "reason": reason}), json=json
    )


def show(name: str, url: Url = None, json: Json = False) -> None:
    """Show what is set for an endpoint."""
    _show(connect(url).get(f"/endpoints/{name}/settings"), json=json)


def anonymise(
    name: str,
    drop: Annotated[Columns, typer.Option(help="Leave this column out; may repeat.")] = None,
    mask: Annotated[Columns, typer.Option(help="Keep only that there was a value.")] = None,
    hash: Annotated[  # noqa: A002 (the flag's name)
        Columns, typer.Option(help="Keep a keyed hash: equal values stay equal.")
    ] = None,
    generalise: Annotated[
        Columns, typer.Option(help="COLUMN:10 (width of bins), COLUMN:month, COLUMN:prefix:3.")
    ] = None,
    keep: Annotated[Columns, typer.Option(help="Write this column as it is; needs an approver.")] = None,
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Say what is done to columns before predictions are written down."""
    fields: dict[str, str | None] = {}
    for kind, columns in (("drop", drop), ("mask", mask), ("hash", hash)):
        fields |= dict.fromkeys(columns or [], kind)
    for text in generalise or []:
        column, colon, by = text.partition(":")
        if not colon:
            raise Invalid(f"{text!r} does not say how: {text}:10, {text}:month or {text}:prefix:3.")
        fields[column] = f"generalise:{by}"
    fields |= dict.fromkeys(keep or [])
    client = connect(url)
    if fields:
        _show(client.patch(f"/endpoints/{name}/settings", {"fields": fields, "reason": reason}), json=json)
    else:
        _show(client.get(f"/endpoints/{name}/settings"), json=json)


def _show(view: dict[str, Any], *, json: bool) -> None:
    if json:
        show_json(view)
        return
    rows = [
        (one["name"], one["value"], "" if one["value"] == one["default"] else "set", one["about"])
        for one in view["settings"]
    ]
    show_table(["setting", "value", "", ""], rows, empty="")
    rules = list(view["fields"].items())
    show_table(["column", "is written down as"], rules, empty="Every column is written down as it came.")
    print(f"Changed {when(view['updated_us'])} by {view['updated_by']}.")
    did = {words: view["did"][key] for key, words in _DID.items() if view["did"][key]}
    if did:
        print(
            "Since the gateway started: "
            + ", ".join(f"{count} {words}" for words, count in did.items())
            + "."
        )
    if view["did"]["open_circuits"]:
        print(f"Left alone now, because they fail: versions {', '.join(view['did']['open_circuits'])}.")
