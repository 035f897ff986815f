"""Channels: where alerts are sent, by whom they were set up, and how each message fared."""

import logging
from typing import Any

import msgspec

from trimtab.domains.alerts import store, webhook
from trimtab.domains.alerts.errors import ChannelExists, ChannelInUse, ChannelNotFound
from trimtab.domains.alerts.model import (
    RULES,
    SEVERITIES,
    Alert,
    Channel,
    Delivery,
    Rule,
    Severity,
    check_name,
    check_url,
    reaches,
)
from trimtab.domains.alerts.webhook import Outcome
from trimtab.domains.govern import GovernService
from trimtab.infra.db import Database, Duplicate, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.infra.outbound import Outbound
from trimtab.infra.secrets import Secrets, SecretUnreadable, is_sealed
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid, did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import iso, now_us
from trimtab.kernel.who import Principal

log = logging.getLogger(__name__)

DELIVER = "alerts.deliver"
_MOST_ATTEMPTS = 10  # with the queue's back-off these span about eight minutes


class DeliveryFailed(Exception):
    """The receiver did not take the message; trying again later may help."""


class ChannelService:
    """Webhooks. Only an admin chooses an address, and nothing is ever sent to any other."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        govern: GovernService,
        *,
        public_url: str,
        outbound: Outbound,
        secrets: Secrets,
    ) -> None:
        """``public_url`` is where links in messages point to."""
        self._outbound = outbound
        self._secrets = secrets
        self._db = db
        self._jobs = jobs
        self._public_url = public_url.rstrip("/")
        self.govern = govern

    def add(
        self,
        who: Principal,
        *,
        name: str,
        url: str,
        secret: str | None = None,
        min_severity: Severity = "info",
        enabled: bool = True,
    ) -> tuple[Channel, str | None]:
        """Add a webhook; return it with the secret where one was made for it, which is never shown again."""
        self.govern.permit(who, "admin", "alert channels")
        check_name(name, "channel")
        check_url(url)
        self._outbound.check_host(url)
        if min_severity not in SEVERITIES:
            raise Invalid(
                f"Unknown severity {min_severity!r}.{did_you_mean(min_severity, SEVERITIES)}",
                field="min_severity",
            )
        made = webhook.new_secret() if secret is None else None
        kept = made or webhook.check_secret(secret or "")
        channel = Channel(name, "webhook", url, min_severity, enabled, now_us(), who.id)
        try:
            with self._db.write() as tx:
                store.insert_channel(tx, channel, secret=self._secrets.seal(kept, purpose=_purpose(name)))
                detail = {"url": url, "min_severity": min_severity}
                self.govern.audit(
                    tx, who, "alerts.channel.add", refs.make("alert-channel", name), detail=detail
                )
        except Duplicate as error:
            raise ChannelExists(f"There is a channel {name!r} already.", field="name") from error
        return channel, made

    def find(self, who: Principal) -> list[Channel]:
        """Return every channel by name, without secrets."""
        self.govern.permit(who, "read", "alert channels")
        with self._db.read() as tx:
            return store.channels(tx)

    def enable(self, who: Principal, name: str, *, enabled: bool) -> Channel:
        """Switch a channel on or off; raises ChannelNotFound."""
        self.govern.permit(who, "admin", "alert channels")
        with self._db.write() as tx:
            channel = self.require(tx, name)
            store.enable_channel(tx, name=name, enabled=enabled)
            action = "alerts.channel.enable" if enabled else "alerts.channel.disable"
            self.govern.audit(tx, who, action, refs.make("alert-channel", name))
        return msgspec.structs.replace(channel, enabled=enabled)

    def remove(self, who: Principal, name: str) -> None:
        """Remove a channel; raises ChannelNotFound, and ChannelInUse while a rule names it."""
        self.govern.permit(who, "admin", "alert channels")
        with self._db.write() as tx:
            tx.lock(RULES)
            self.require(tx, name)
            users = [rule.name for rule in store.rules(tx) if rule.channels and name in rule.channels]
            if users:
                raise ChannelInUse(f"The rules {', '.join(users)} send to {name!r}; change them first.")
            store.delete_channel(tx, name=name)
            self.govern.audit(tx, who, "alerts.channel.remove", refs.make("alert-channel", name))

    def test(self, who: Principal, name: str) -> Outcome:
        """Send one test message now and return what came of it; raises ChannelNotFound."""
        self.govern.permit(who, "admin", "alert channels")
        delivery_id, now = new_id("msg_"), now_us()
        body = _body(
            "test", now, {"channel": name, "message": "A test message from Trimtab.", "by": who.name}
        )
        with self._db.write() as tx:
            channel = self.require(tx, name)
            secret = self._secrets.open(store.channel_secret(tx, name=name) or "", purpose=_purpose(name))
            store.insert_delivery(
                tx, delivery_id=delivery_id, channel=name, alert_id=None, kind="test", body=body, now_us=now
            )
            self.govern.audit(tx, who, "alerts.channel.test", refs.make("alert-channel", name))
        outcome = webhook.send(
            self._outbound, channel.url, secret, message_id=delivery_id, body=body.encode()
        )
        self._record(delivery_id, outcome, last=True)
        return outcome

    def deliveries(
        self, who: Principal, name: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Delivery]:
        """Return the messages of a channel, newest first; raises ChannelNotFound."""
        self.govern.permit(who, "read", "alert channels")
        size = check_limit(limit)
        where = Where().equals(channel=name)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            self.require(tx, name)
            found = store.deliveries(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda delivery: delivery.id)

    def deliver(self, who: Principal, delivery_id: str, *, last: bool) -> None:
        """Send a stored message; raises DeliveryFailed where trying again may help, Conflict where it cannot."""
        self.govern.permit(who, "admin", "alert channels")
        with self._db.read() as tx:
            found = store.delivery_body(tx, delivery_id=delivery_id)
            name, body = found or ("", "")
            channel = store.channel(tx, name=name)
            secret = store.channel_secret(tx, name=name)
        if found is None or channel is None or secret is None or not channel.enabled:
            if found is not None:
                gone = Outcome(
                    ok=False, status_code=None, error="the channel is gone or switched off", seconds=0.0
                )
                self._record(delivery_id, gone, last=True)
            raise Conflict(f"The channel {name!r} is gone or switched off.")
        try:
            opened = self._secrets.open(secret, purpose=_purpose(name))
        except SecretUnreadable as error:
            unsigned = Outcome(ok=False, status_code=None, error=error.message, seconds=0.0)
            self._record(delivery_id, unsigned, last=True)
            raise Conflict(error.message) from error
        outcome = webhook.send(
            self._outbound, channel.url, opened, message_id=delivery_id, body=body.encode()
        )
        self._record(delivery_id, outcome, last=last)
        if outcome.status_code == 410:  # Gone: the receiver asks for silence, as Standard Webhooks has it
            self.enable(who, name, enabled=False)
            log.warning(
                "channel switched off", extra={"channel": name, "reason": "the receiver answered 410"}
            )
            raise Conflict(f"The receiver of {name!r} answered 410; the channel is switched off.")
        if not outcome.ok:
            raise DeliveryFailed(outcome.error)

    def seal_secrets(self) -> int:
        """Seal the secrets that were stored before secrets were sealed, and return how many there were."""
        sealed = 0
        with self._db.write() as tx:
            for channel in store.channels(tx):
                secret = store.channel_secret(tx, name=channel.name)
                if secret is not None and not is_sealed(secret):
                    kept = self._secrets.seal(secret, purpose=_purpose(channel.name))
                    store.set_channel_secret(tx, name=channel.name, secret=kept)
                    sealed += 1
        return sealed

    def require(self, tx: Tx, name: str) -> Channel:
        """Return a channel in the caller's transaction; raises ChannelNotFound."""
        channel = store.channel(tx, name=name)
        if channel is None:
            hint = did_you_mean(name, [known.name for known in store.channels(tx)])
            raise ChannelNotFound(f"There is no channel {name!r}.{hint}", field="channel")
        return channel

    def notify(self, tx: Tx, alert: Alert, kind: str, rule: Rule | None) -> None:
        """Have an alert sent to the channels of its rule, in the caller's transaction."""
        if rule is not None and not rule.enabled:
            return
        chosen = rule.channels if rule is not None else None
        content = {
            **{field: getattr(alert, field) for field in alert.__struct_fields__ if field != "cause"},
            "url": f"{self._public_url}{refs.href(refs.make('alert', alert.id))}",
            "subject_url": f"{self._public_url}{refs.href(alert.subject)}",
        }
        body = _body(kind, alert.updated_us, content)
        for channel in store.channels(tx):
            if reaches(alert.severity, channel) and (chosen is None or channel.name in chosen):
                delivery_id = new_id("msg_")
                store.insert_delivery(
                    tx,
                    delivery_id=delivery_id,
                    channel=channel.name,
                    alert_id=alert.id,
                    kind=kind,
                    body=body,
                    now_us=alert.updated_us,
                )
                self._jobs.enqueue(tx, DELIVER, {"delivery": delivery_id}, max_attempts=_MOST_ATTEMPTS)

    def _record(self, delivery_id: str, outcome: Outcome, *, last: bool) -> None:
        state = "delivered" if outcome.ok else "failed" if last or outcome.status_code == 410 else "retrying"
        with self._db.write() as tx:
            store.record_attempt(
                tx,
                delivery_id=delivery_id,
                state=state,
                status_code=outcome.status_code,
                error=outcome.error,
                now_us=now_us(),
            )


def _purpose(name: str) -> str:
    return f"alerts.channel:{name}"


def _body(kind: str, at_us: int, data: dict[str, Any]) -> str:
    message = {"type": kind, "timestamp": iso(at_us), "data": data}
    return msgspec.json.encode(message).decode()
