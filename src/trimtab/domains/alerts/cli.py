"""Commands for alerts, their rules and channels."""

from typing import Annotated, Any

import msgspec
import typer

from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

alerts = typer.Typer(no_args_is_help=True)
rules = typer.Typer(no_args_is_help=True, help="What to watch for and whom to tell.")
channels = typer.Typer(no_args_is_help=True, help="Where alerts are sent.")
alerts.add_typer(rules, name="rules")
alerts.add_typer(channels, name="channels")

Note = Annotated[str, typer.Option("--note", help="Why, for those who read it later.")]

_OPERATORS = ("==", "!=", ">=", "<=", ">", "<", "in", "contains", "exists")


@alerts.command("ls")
def list_alerts(
    state: Annotated[
        str | None, typer.Option(help="open, acknowledged or resolved; default both active ones")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    limit: int = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List alerts, newest first."""
    client = connect(url)
    if state is not None or every:
        items = client.get("/alerts", state=state, limit=limit)["items"]
    else:
        active = [
            item
            for name in ("open", "acknowledged")
            for item in client.get("/alerts", state=name, limit=limit)["items"]
        ]
        items = sorted(active, key=lambda item: item["id"], reverse=True)[:limit]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["id"],
            item["severity"],
            item["state"],
            item["title"],
            item["subject"],
            item["count"],
            when(item["updated_us"]),
        )
        for item in items
    ]
    show_table(
        ["id", "severity", "state", "title", "on", "count", "updated"], rows, empty="No alerts. All is quiet."
    )


@alerts.command("show")
def show_alert(alert_id: str, url: Url = None, json: Json = False) -> None:
    """Show one alert."""
    alert = connect(url).get(f"/alerts/{alert_id}")
    if json:
        show_json(alert)
    else:
        _show_fields(alert)


@alerts.command("ack")
def acknowledge_alert(alert_id: str, note: Note = "", url: Url = None) -> None:
    """Say that you look after an alert."""
    connect(url).post(f"/alerts/{alert_id}/acknowledge", {"note": note})


@alerts.command("resolve")
def resolve_alert(alert_id: str, note: Note = "", url: Url = None) -> None:
    """End an alert."""
    connect(url).post(f"/alerts/{alert_id}/resolve", {"note": note})


@rules.command("ls")
def list_rules(url: Url = None, json: Json = False) -> None:
    """List rules."""
    items = connect(url).get("/alert-rules")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            item["name"],
            "on" if item["enabled"] else "off",
            item["severity"],
            _condition(item["condition"]),
            "all" if item["channels"] is None else ", ".join(item["channels"]) or "none",
        )
        for item in items
    ]
    show_table(["name", "", "severity", "when", "channels"], rows, empty="No rules.")


@rules.command("add")
def add_rule(
    name: str,
    event: Annotated[str, typer.Option(help="Kind of event, for example tracking.run_finished.")],
    title: Annotated[str, typer.Option(help="Title of its alerts; {field} is filled from the event.")],
    where: Annotated[
        list[str] | None, typer.Option(help="A test such as 'state == failed'; all must hold.")
    ] = None,
    severity: Annotated[str, typer.Option(help="info, warning or critical")] = "warning",
    detail: str = "",
    key: Annotated[str, typer.Option(help="What tells its alerts apart.")] = "{subject}",
    channel: Annotated[list[str] | None, typer.Option(help="Only these channels; default all.")] = None,
    resolve_after: Annotated[float | None, typer.Option(help="Resolve after so many quiet minutes.")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Add a rule that watches one kind of event."""
    rule = {
        "name": name,
        "condition": {"event": event, "where": [_comparison(text) for text in where or []]},
        "severity": severity,
        "title": title,
        "detail": detail,
        "key": key,
        "channels": channel or None,
        "resolve_after_us": None if resolve_after is None else int(resolve_after * 60_000_000),
    }
    made = connect(url).post("/alert-rules", rule)
    if json:
        show_json(made)


@rules.command("show")
def show_rule(name: str, url: Url = None, json: Json = False) -> None:
    """Show one rule."""
    rule = connect(url).get(f"/alert-rules/{name}")
    if json:
        show_json(rule)
    else:
        _show_fields(rule)


@rules.command("enable")
def enable_rule(name: str, url: Url = None) -> None:
    """Let a rule watch and tell again."""
    _switch_rule(name, url, enabled=True)


@rules.command("disable")
def disable_rule(name: str, url: Url = None) -> None:
    """Have a rule watch nothing and tell nobody."""
    _switch_rule(name, url, enabled=False)


@rules.command("rm")
def remove_rule(name: str, url: Url = None) -> None:
    """Remove a rule; a built-in one goes back to its first form."""
    connect(url).delete(f"/alert-rules/{name}")


@channels.command("ls")
def list_channels(url: Url = None, json: Json = False) -> None:
    """List channels."""
    items = connect(url).get("/alert-channels")["items"]
    if json:
        show_json(items)
        return
    rows = [
        (item["name"], item["kind"], item["url"], item["min_severity"], "on" if item["enabled"] else "off")
        for item in items
    ]
    show_table(
        ["name", "kind", "address", "from severity", ""],
        rows,
        empty="No channels. 'trimtab alerts channels add NAME URL' adds a webhook.",
    )


@channels.command("add")
def add_channel(
    name: str,
    address: Annotated[
        str, typer.Argument(metavar="URL", help="The http(s) address that takes the messages.")
    ],
    secret_file: Annotated[
        typer.FileText | None, typer.Option(help="File with a secret of your own (whsec_...).")
    ] = None,
    min_severity: Annotated[str, typer.Option(help="info, warning or critical")] = "info",
    url: Url = None,
    json: Json = False,
) -> None:
    """Add a webhook and print the secret that signs its messages, this once."""
    secret = secret_file.read().strip() if secret_file else None
    body = {"name": name, "url": address, "secret": secret, "min_severity": min_severity}
    made = connect(url).post("/alert-channels", body)
    if json:
        show_json(made)
    elif made["secret"]:
        print(made["secret"])


@channels.command("rm")
def remove_channel(name: str, url: Url = None) -> None:
    """Remove a channel."""
    connect(url).delete(f"/alert-channels/{name}")


@channels.command("test")
def try_channel(name: str, url: Url = None, json: Json = False) -> None:
    """Send a test message now; exit 1 when the receiver does not take it."""
    outcome = connect(url).post(f"/alert-channels/{name}/test")
    if json:
        show_json(outcome)
    elif outcome["ok"]:
        print(f"Delivered in {outcome['seconds'] * 1000:.0f} ms ({outcome['status_code']}).")
    else:
        print(f"Not delivered: {outcome['error']}.")
    if not outcome["ok"]:
        raise typer.Exit(1)


@channels.command("log")
def list_deliveries(name: str, limit: int = 50, url: Url = None, json: Json = False) -> None:
    """List what was sent to a channel and how it fared."""
    items = connect(url).get(f"/alert-channels/{name}/deliveries", limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            when(item["created_us"]),
            item["kind"],
            item["alert_id"],
            item["state"],
            item["attempts"],
            item["status_code"],
            item["error"],
        )
        for item in items
    ]
    show_table(
        ["at", "message", "alert", "state", "attempts", "status", "error"],
        rows,
        empty="Nothing was sent yet.",
    )


def _switch_rule(name: str, url: str | None, *, enabled: bool) -> None:
    client = connect(url)
    rule = client.get(f"/alert-rules/{name}")
    fixed = ("name", "built_in", "updated_us", "updated_by")
    body = {key: value for key, value in rule.items() if key not in fixed}
    client.put(f"/alert-rules/{name}", {**body, "enabled": enabled})


def _comparison(text: str) -> dict[str, Any]:
    field, _, rest = text.strip().partition(" ")
    op, _, value = rest.strip().partition(" ")
    if op not in _OPERATORS:
        raise Invalid(
            f"A test reads 'field operator value' with one of {', '.join(_OPERATORS)}; {text!r} does not."
        )
    try:
        parsed = msgspec.json.decode(value) if value.strip() else None
    except msgspec.DecodeError:
        parsed = value.strip()
    return {"field": field, "op": op, "value": parsed}


def _condition(condition: dict[str, Any] | None) -> str:
    if condition is None:
        return "reported"
    tests = [f"{test['field']} {test['op']} {test['value']}" for test in condition["where"]]
    return " and ".join([condition["event"], *tests])


def _show_fields(item: dict[str, Any]) -> None:
    rows = [
        (key, when(value) if key.endswith("_us") and key != "resolve_after_us" else value)
        for key, value in item.items()
    ]
    show_table(["field", "value"], [(key, value) for key, value in rows if value not in (None, "")], empty="")
