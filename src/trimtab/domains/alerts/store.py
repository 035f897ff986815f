"""The tables of alerts, rules, channels and deliveries."""

from typing import Any

import msgspec

from trimtab.domains.alerts.model import Alert, Channel, Delivery, Rule
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert_alert(tx: Tx, alert: Alert) -> None:
    tx.run(Q.insert_alert, **_columns(alert))


def update_alert(tx: Tx, alert: Alert) -> None:
    columns = _columns(alert)
    for fixed in ("rule", "subject", "dedupe_key", "opened_us"):
        columns.pop(fixed)
    tx.run(Q.update_alert, **columns)


def alert(tx: Tx, *, alert_id: str) -> Alert | None:
    row = tx.one(Q.alert, id=alert_id)
    return _alert(row) if row else None


def newest_of_key(tx: Tx, *, dedupe_key: str) -> Alert | None:
    row = tx.one(Q.newest_of_key, dedupe_key=dedupe_key)
    return _alert(row) if row else None


def alerts(tx: Tx, *, where: Where, limit: int) -> list[Alert]:
    return [_alert(row) for row in tx.all(Q.alerts.with_(where=where.sql), limit=limit, **where.params)]


def quiet_alerts(tx: Tx, *, rule: str, before_us: int) -> list[str]:
    """Return the ids of a rule's active alerts that were not reported since a moment."""
    return [row[0] for row in tx.all(Q.quiet_alerts, rule=rule, before_us=before_us)]


def advance(tx: Tx, *, dedupe_key: str, seq: int) -> bool:
    """Note that an event was taken into account; False where that one or a later one was before."""
    return tx.run(Q.advance, dedupe_key=dedupe_key, seq=seq) == 1


def put_rule(tx: Tx, rule: Rule) -> None:
    tx.run(
        Q.put_rule,
        name=rule.name,
        definition=msgspec.json.encode(rule).decode(),
        updated_us=rule.updated_us,
        updated_by=rule.updated_by,
    )


def rule(tx: Tx, *, name: str) -> Rule | None:
    row = tx.one(Q.rule, name=name)
    return _rule(row) if row else None


def rules(tx: Tx) -> list[Rule]:
    return [_rule(row) for row in tx.all(Q.rules)]


def delete_rule(tx: Tx, *, name: str) -> bool:
    return tx.run(Q.delete_rule, name=name) == 1


def insert_channel(tx: Tx, channel: Channel, *, secret: str) -> None:
    columns = msgspec.structs.asdict(channel)
    columns["enabled"] = int(channel.enabled)
    tx.run(Q.insert_channel, secret=secret, **columns)


def channel(tx: Tx, *, name: str) -> Channel | None:
    row = tx.one(Q.channel, name=name)
    return _channel(row) if row else None


def channels(tx: Tx) -> list[Channel]:
    return [_channel(row) for row in tx.all(Q.channels)]


def channel_secret(tx: Tx, *, name: str) -> str | None:
    """Return the secret of a channel; only what signs a message may ask."""
    row = tx.one(Q.channel_secret, name=name)
    return row[0] if row else None


def set_channel_secret(tx: Tx, *, name: str, secret: str) -> None:
    tx.run(Q.set_channel_secret, name=name, secret=secret)


def enable_channel(tx: Tx, *, name: str, enabled: bool) -> bool:
    return tx.run(Q.enable_channel, name=name, enabled=int(enabled)) == 1


def delete_channel(tx: Tx, *, name: str) -> bool:
    return tx.run(Q.delete_channel, name=name) == 1


def insert_delivery(
    tx: Tx, *, delivery_id: str, channel: str, alert_id: str | None, kind: str, body: str, now_us: int
) -> None:
    tx.run(
        Q.insert_delivery,
        id=delivery_id,
        channel=channel,
        alert_id=alert_id,
        kind=kind,
        body=body,
        now_us=now_us,
    )


def delivery_body(tx: Tx, *, delivery_id: str) -> tuple[str, str] | None:
    """Return (channel, body) of a delivery."""
    row = tx.one(Q.delivery_body, id=delivery_id)
    return (row[0], row[1]) if row else None


def record_attempt(
    tx: Tx, *, delivery_id: str, state: str, status_code: int | None, error: str | None, now_us: int
) -> None:
    tx.run(Q.record_attempt, id=delivery_id, state=state, status_code=status_code, error=error, now_us=now_us)


def deliveries(tx: Tx, *, where: Where, limit: int) -> list[Delivery]:
    rows = tx.all(Q.deliveries.with_(where=where.sql), limit=limit, **where.params)
    return [Delivery(*row) for row in rows]


def delete_deliveries(tx: Tx, *, before_us: int) -> int:
    return tx.run(Q.delete_deliveries, before_us=before_us)


def _columns(alert: Alert) -> dict[str, Any]:
    columns = msgspec.structs.asdict(alert)
    columns["data"] = msgspec.json.encode(alert.data).decode()
    return columns


def _alert(row: tuple[Any, ...]) -> Alert:
    values = list(row)
    values[8] = msgspec.json.decode(row[8])  # data
    return Alert(*values)


def _rule(row: tuple[Any, ...]) -> Rule:
    definition, updated_us, updated_by = row
    stored = msgspec.json.decode(definition, type=Rule)
    return msgspec.structs.replace(stored, updated_us=updated_us, updated_by=updated_by)


def _channel(row: tuple[Any, ...]) -> Channel:
    name, kind, url, min_severity, enabled, created_us, created_by = row
    return Channel(name, kind, url, min_severity, bool(enabled), created_us, created_by)
