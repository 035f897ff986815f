"""Keeps webhooks, stores a message for each event in the transaction that caused it, and delivers it by durable jobs."""

import hashlib
import json
import random
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.registry.errors import WebhookNotFound
from trimtab.domains.registry.webhooks import store
from trimtab.domains.registry.webhooks.model import (
    EXAMPLES,
    Status,
    Tested,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    check_events,
    check_name,
    check_texts,
    check_url,
    headers,
)
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.infra.outbound import Answer, Outbound
from trimtab.infra.secrets import Secrets, SecretUnreadable
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, decode_cursor, encode_cursor, page_of
from trimtab.kernel.time import SECOND_US, now_us
from trimtab.kernel.who import Principal

DELIVER = "registry.webhook.deliver"
MOST_ATTEMPTS = 4  # one and three more, as MLflow's server tries
_TIMEOUT_S = 30.0
_WORTH_ANOTHER = frozenset({429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0


class WebhookService:
    """Webhooks of the registry. Only an admin chooses an address, and nothing is sent to any other."""

    def __init__(
        self, db: Database, jobs: Jobs, govern: GovernService, *, outbound: Outbound, secrets: Secrets
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._outbound = outbound
        self._secrets = secrets
        self.govern = govern

    def create(
        self,
        who: Principal,
        *,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: Status = "ACTIVE",
    ) -> Webhook:
        """Add a webhook; names need not differ. Raises Invalid."""
        self.govern.permit(who, "admin", "webhooks")
        check_name(name)
        self._check_url(url)
        check_texts(description=description, secret=secret)
        now = now_us()
        made = Webhook(
            id=str(uuid.uuid4()),
            name=name,
            url=url,
            events=check_events([*events]),
            status=status,
            description=description,
            created_us=now,
            created_by=who.id,
            updated_us=now,
        )
        with self._db.write() as tx:
            store.insert(tx, made, secret=self._sealed(made.id, secret))
            self._audit(tx, who, "create", made)
        return made

    def get(self, who: Principal, webhook_id: str) -> Webhook:
        """Return a webhook; raises WebhookNotFound."""
        self.govern.permit(who, "read", "webhooks")
        with self._db.read() as tx:
            return self._webhook(tx, webhook_id)

    def find(self, who: Principal, *, limit: int | None = None, cursor: str | None = None) -> Page[Webhook]:
        """Return the webhooks, the newest first."""
        self.govern.permit(who, "read", "webhooks")
        size = check_limit(limit)
        where = Where()
        if cursor:
            at_us, last = decode_cursor(cursor, 2)
            if not isinstance(at_us, int) or not isinstance(last, str):
                raise Invalid("The cursor belongs to another listing.", field="cursor")
            where.add(
                "created_us < :at_us or (created_us = :at_us and id < :last)",
                at_us=at_us,
                last=last,
            )
        with self._db.read() as tx:
            found = store.webhooks(tx, where, limit=size + 1)
        if len(found) <= size:
            return Page(found)
        return Page(found[:size], encode_cursor((found[size - 1].created_us, found[size - 1].id)))

    def change(
        self,
        who: Principal,
        webhook_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        description: str | None = None,
        secret: str | None = None,
        status: Status | None = None,
    ) -> Webhook:
        """Change what is given; an empty secret removes the signature. Raises WebhookNotFound and Invalid."""
        self.govern.permit(who, "admin", "webhooks")
        if name is not None:
            check_name(name)
        if url is not None:
            self._check_url(url)
        check_texts(description=description, secret=secret)
        chosen = check_events([*events]) if events is not None else None
        with self._db.write() as tx:
            before = self._webhook(tx, webhook_id)
            after = msgspec.structs.replace(
                before,
                name=before.name if name is None else name,
                url=before.url if url is None else url,
                events=before.events if chosen is None else chosen,
                description=before.description if description is None else description,
                status=before.status if status is None else status,
                updated_us=now_us(),
            )
            kept = store.secret(tx, webhook_id=webhook_id)
            sealed = kept if secret is None else self._sealed(webhook_id, secret)
            store.update(tx, after, secret=sealed)
            self._audit(tx, who, "change", after)
        return after

    def delete(self, who: Principal, webhook_id: str) -> None:
        """Remove a webhook; raises WebhookNotFound."""
        self.govern.permit(who, "admin", "webhooks")
        with self._db.write() as tx:
            gone = self._webhook(tx, webhook_id)
            store.delete(tx, webhook_id=webhook_id)
            self._audit(tx, who, "delete", gone)

    def test(self, who: Principal, webhook_id: str, event: WebhookEvent | None = None) -> Tested:
        """Send an example of an event now, the webhook's first unless given, and return what came of it."""
        self.govern.permit(who, "admin", "webhooks")
        with self._db.write() as tx:
            webhook = self._webhook(tx, webhook_id)
            secret = store.secret(tx, webhook_id=webhook_id)
            self._audit(tx, who, "test", webhook)
        chosen = check_events([event or webhook.events[0]])[0]
        answer = self._send(webhook, secret, str(uuid.uuid4()), message(chosen, EXAMPLES[chosen]))
        if answer.status_code is None:
            return Tested(success=False, error_message=f"Failed to test webhook: {answer.error}")
        return Tested(
            success=answer.status_code < 400,
            response_status=answer.status_code,
            response_body=answer.body or None,
        )

    def deliveries(
        self, who: Principal, webhook_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[WebhookDelivery]:
        """Return the messages to a webhook and how they fared, newest first; raises WebhookNotFound."""
        self.govern.permit(who, "read", "webhooks")
        size = check_limit(limit)
        where = Where().equals(webhook=webhook_id)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            self._webhook(tx, webhook_id)
            found = store.deliveries(tx, where, limit=size + 1)
        return page_of(found, size, key=lambda delivery: delivery.id)

    def announce(self, tx: Tx, event: WebhookEvent, data: dict[str, Any]) -> None:
        """Have the webhooks of an event told of it, in the transaction that causes it."""
        told = store.told(tx, event)
        if not told:
            return
        body = message(event, data)
        for webhook_id in told:
            delivery_id = new_id("whd_")
            store.insert_delivery(
                tx, delivery_id=delivery_id, webhook_id=webhook_id, event=event, body=body, now_us=now_us()
            )
            self._jobs.enqueue(tx, DELIVER, {"delivery": delivery_id, "attempt": 1}, max_attempts=10)

    def deliver(self, who: Principal, delivery_id: str, *, attempt: int) -> None:
        """Send a stored message; where that fails and may work later, have it tried again after a while.

        The waits are 1, 2 and 4 seconds with up to one more by chance, or what the receiver asked for.
        """
        self.govern.permit(who, "admin", "webhooks")
        with self._db.read() as tx:
            found = store.delivery(tx, delivery_id=delivery_id)
            webhook = store.webhook(tx, webhook_id=found[0]) if found else None
            secret = store.secret(tx, webhook_id=found[0]) if found else None
        if found is None or found[2] != "waiting":
            return
        if webhook is None or webhook.status != "ACTIVE":
            self._record(delivery_id, Answer(None, "the webhook is gone or disabled", 0.0), "failed")
            return
        answer = self._send(webhook, secret, _message_id(delivery_id), found[1])
        if answer.status_code is not None and answer.status_code < 400:
            self._record(delivery_id, answer, "delivered")
            return
        again = answer.status_code is None or answer.status_code in _WORTH_ANOTHER
        if not again or attempt >= MOST_ATTEMPTS:
            self._record(delivery_id, answer, "failed")
            return
        wait_s = answer.retry_after_s
        if wait_s is None:
            wait_s = 2.0 ** (attempt - 1) + random.random()  # noqa: S311 - to spread attempts, not to hide anything
        due_us = now_us() + int(min(wait_s, _LONGEST_WAIT_S) * SECOND_US)
        with self._db.write() as tx:
            self._put_attempt(tx, delivery_id, answer, "waiting")
            self._jobs.enqueue(
                tx,
                DELIVER,
                {"delivery": delivery_id, "attempt": attempt + 1},
                due_us=due_us,
                dedupe_key=f"{delivery_id}:{attempt + 1}",
                max_attempts=10,
            )

    def expire(self, *, before_us: int) -> int:
        """Forget messages that were made before a moment, and return how many."""
        with self._db.write() as tx:
            return store.delete_deliveries(tx, before_us=before_us)

    def _send(self, webhook: Webhook, sealed: str | None, message_id: str, body: str) -> Answer:
        raw = body.encode()
        try:
            secret = self._secrets.open(sealed, purpose=_purpose(webhook.id)) if sealed else None
        except SecretUnreadable as error:
            return Answer(None, error.message, 0.0)
        signed = headers(secret, message_id=message_id, at_s=int(time.time()), body=raw)
        return self._outbound.post(webhook.url, raw, signed, timeout_s=_TIMEOUT_S)

    def _record(self, delivery_id: str, answer: Answer, state: str) -> None:
        with self._db.write() as tx:
            self._put_attempt(tx, delivery_id, answer, state)

    def _put_attempt(self, tx: Tx, delivery_id: str, answer: Answer, state: str) -> None:
        error = answer.error
        if error is None and answer.status_code is not None and answer.status_code >= 400:
            error = f"the receiver answered {answer.status_code}"
        store.record_attempt(
            tx,
            delivery_id=delivery_id,
            state=state,
            status_code=answer.status_code,
            error=error,
            now_us=now_us(),
        )

    def _check_url(self, url: str) -> None:
        check_url(url, private=self._outbound.private)
        self._outbound.check_host(url)

    def _sealed(self, webhook_id: str, secret: str | None) -> str | None:
        return self._secrets.seal(secret, purpose=_purpose(webhook_id)) if secret else None

    def _webhook(self, tx: Tx, webhook_id: str) -> Webhook:
        found = store.webhook(tx, webhook_id=webhook_id)
        if found is None:
            raise WebhookNotFound(f"Webhook with ID {webhook_id[:64]} not found.", field="webhook_id")
        return found

    def _audit(self, tx: Tx, who: Principal, act: str, webhook: Webhook) -> None:
        detail = {
            "name": webhook.name,
            "url": webhook.url,
            "events": [str(event) for event in webhook.events],
        }
        ref = refs.make("webhook", webhook.id)
        self.govern.audit(tx, who, f"registry.webhook.{act}", ref, detail=detail)


def message(event: WebhookEvent, data: dict[str, Any]) -> str:
    """Return the body of a message, as MLflow's server writes it."""
    at = datetime.now(UTC).isoformat()
    return json.dumps({"entity": event.entity, "action": event.action, "timestamp": at, "data": data})


def _message_id(delivery_id: str) -> str:
    """Return the delivery's id as a UUID, the same in every attempt."""
    return str(uuid.UUID(bytes=hashlib.sha256(delivery_id.encode()).digest()[:16], version=4))


def _purpose(webhook_id: str) -> str:
    return f"registry.webhook:{webhook_id}"
