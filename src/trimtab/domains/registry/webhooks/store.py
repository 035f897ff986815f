"""The tables of webhooks, the events they are told of, and the messages to them."""

from collections import defaultdict
from typing import Any

from trimtab.domains.registry.webhooks.model import Webhook, WebhookDelivery, WebhookEvent
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert(tx: Tx, webhook: Webhook, *, secret: str | None) -> None:
    tx.run(
        Q.insert_webhook,
        id=webhook.id,
        name=webhook.name,
        description=webhook.description,
        url=webhook.url,
        secret=secret,
        status=webhook.status,
        created_us=webhook.created_us,
        created_by=webhook.created_by,
        updated_us=webhook.updated_us,
    )
    _put_events(tx, webhook)


def update(tx: Tx, webhook: Webhook, *, secret: str | None) -> None:
    tx.run(
        Q.update_webhook,
        id=webhook.id,
        name=webhook.name,
        description=webhook.description,
        url=webhook.url,
        secret=secret,
        status=webhook.status,
        updated_us=webhook.updated_us,
    )
    tx.run(Q.delete_events, webhook=webhook.id)
    _put_events(tx, webhook)


def _put_events(tx: Tx, webhook: Webhook) -> None:
    for place, event in enumerate(webhook.events):
        tx.run(Q.insert_event, webhook=webhook.id, entity=event.entity, action=event.action, place=place)


def delete(tx: Tx, *, webhook_id: str) -> bool:
    tx.run(Q.delete_events, webhook=webhook_id)
    return tx.run(Q.delete_webhook, id=webhook_id) == 1


def webhooks(tx: Tx, where: Where, *, limit: int) -> list[Webhook]:
    """Return webhooks, the newest first."""
    rows = tx.all(Q.webhooks.with_(where=where.sql), limit=limit, **where.params)
    events: dict[str, list[WebhookEvent]] = defaultdict(list)
    if rows:
        mine = Where().any_of("webhook", [row[0] for row in rows])
        for webhook, entity, action in tx.all(Q.events.with_(where=mine.sql), **mine.params):
            events[webhook].append(WebhookEvent(entity, action))
    return [_webhook(row, events[row[0]]) for row in rows]


def _webhook(row: tuple[Any, ...], events: list[WebhookEvent]) -> Webhook:
    webhook_id, name, url, status, description, created_us, created_by, updated_us = row
    return Webhook(webhook_id, name, url, events, status, description, created_us, created_by, updated_us)


def webhook(tx: Tx, *, webhook_id: str) -> Webhook | None:
    found = webhooks(tx, Where().equals(id=webhook_id), limit=1)
    return found[0] if found else None


def secret(tx: Tx, *, webhook_id: str) -> str | None:
    """Return the sealed secret of a webhook; only what signs a message may ask."""
    row = tx.one(Q.secret, id=webhook_id)
    return row[0] if row else None


def told(tx: Tx, event: WebhookEvent) -> list[str]:
    """Return the ids of the active webhooks that are told of an event."""
    return [row[0] for row in tx.all(Q.told, entity=event.entity, action=event.action)]


def insert_delivery(
    tx: Tx, *, delivery_id: str, webhook_id: str, event: WebhookEvent, body: str, now_us: int
) -> None:
    tx.run(
        Q.insert_delivery,
        id=delivery_id,
        webhook=webhook_id,
        entity=event.entity,
        action=event.action,
        body=body,
        now_us=now_us,
    )


def delivery(tx: Tx, *, delivery_id: str) -> tuple[str, str, str] | None:
    """Return (webhook, body, state) of a message."""
    row = tx.one(Q.delivery, id=delivery_id)
    return (row[0], row[1], row[2]) if row else None


def record_attempt(
    tx: Tx, *, delivery_id: str, state: str, status_code: int | None, error: str | None, now_us: int
) -> None:
    tx.run(Q.record_attempt, id=delivery_id, state=state, status_code=status_code, error=error, now_us=now_us)


def deliveries(tx: Tx, where: Where, *, limit: int) -> list[WebhookDelivery]:
    rows = tx.all(Q.deliveries.with_(where=where.sql), limit=limit, **where.params)
    return [WebhookDelivery(*row) for row in rows]


def delete_deliveries(tx: Tx, *, before_us: int) -> int:
    return tx.run(Q.delete_deliveries, before_us=before_us)
