"""Opens, counts, acknowledges and resolves alerts, and holds events against the rules."""

from typing import Any

import msgspec

from trimtab.domains.alerts import store
from trimtab.domains.alerts.channels import ChannelService
from trimtab.domains.alerts.errors import AlertNotActive, AlertNotFound
from trimtab.domains.alerts.events import AlertOpened, AlertResolved
from trimtab.domains.alerts.model import (
    SEVERITIES,
    Alert,
    AlertState,
    Rule,
    Severity,
    check_name,
    check_text,
    facts_of,
    fill,
    worst,
)
from trimtab.domains.alerts.rules import RuleService
from trimtab.domains.govern import GovernService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.infra.outbound import Outbound
from trimtab.infra.secrets import Secrets
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.events import EventRecord
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_MOST_KEY = 300
_MOST_TITLE = 300
_MOST_DETAIL = 4000
_MOST_DATA_BYTES = 64 << 10


class AlertService:
    """The inbox. ``rules`` and ``channels`` hold the services of those nouns."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        govern: GovernService,
        *,
        public_url: str,
        outbound: Outbound,
        secrets: Secrets,
    ) -> None:
        self._db = db
        self._bus = bus
        self.govern = govern
        self.rules = RuleService(db, govern)
        self.channels = ChannelService(
            db, jobs, govern, public_url=public_url, outbound=outbound, secrets=secrets
        )

    def open(
        self,
        who: Principal,
        *,
        rule: str,
        severity: Severity,
        title: str,
        detail: str = "",
        subject: str,
        dedupe_key: str,
        data: dict[str, Any] | None = None,
        episode_id: str | None = None,
        cause: str | None = None,
    ) -> Alert:
        """Open an alert, or count up the active one with the same ``dedupe_key`` and bring it up to date.

        A report more severe than the alert was raises it and tells people again. ``cause`` is the id of the
        event that led here: the same cause is counted once. Raises Invalid.
        """
        self.govern.permit(who, "write", "alerts")
        _check_report(rule, severity, title, detail, subject, dedupe_key, data or {})
        with self._db.write() as tx:
            tx.lock(f"alerts.alert:{dedupe_key}")
            return self._report(
                tx,
                who,
                rule=rule,
                severity=severity,
                title=title,
                detail=detail,
                subject=subject,
                dedupe_key=dedupe_key,
                data=data,
                episode_id=episode_id,
                cause=cause,
            )

    def _report(
        self,
        tx: Tx,
        who: Principal,
        *,
        rule: str,
        severity: Severity,
        title: str,
        detail: str,
        subject: str,
        dedupe_key: str,
        data: dict[str, Any] | None,
        episode_id: str | None,
        cause: str | None,
    ) -> Alert:
        known = store.newest_of_key(tx, dedupe_key=dedupe_key)
        if known is not None and cause is not None and known.cause == cause:
            return known
        governing = self.rules.named(tx, rule)
        if governing is not None and governing.severity is not None:
            severity = governing.severity
        now = now_us()
        if known is not None and known.state != "resolved":
            return self._count_up(tx, known, governing, now, severity, title, detail, data, episode_id, cause)
        alert = Alert(
            id=new_id("al_"),
            rule=rule,
            severity=severity,
            state="open",
            title=title,
            detail=detail,
            subject=subject,
            dedupe_key=dedupe_key,
            data=data or {},
            episode_id=episode_id,
            opened_us=now,
            updated_us=now,
            count=1,
            acknowledged_us=None,
            acknowledged_by=None,
            resolved_us=None,
            resolved_by=None,
            note="",
            cause=cause,
        )
        store.insert_alert(tx, alert)
        self.channels.notify(tx, alert, "alert.opened", governing)
        detail_of_act = {"rule": rule, "subject": subject}
        self.govern.audit(tx, who, "alerts.open", refs.make("alert", alert.id), detail=detail_of_act)
        opened = AlertOpened(alert.id, rule, severity, title, dedupe_key, episode_id)
        self._bus.emit(tx, opened, subject=subject, actor=who.id)
        return alert

    def _count_up(
        self,
        tx: Tx,
        known: Alert,
        governing: Rule | None,
        now: int,
        severity: Severity,
        title: str,
        detail: str,
        data: dict[str, Any] | None,
        episode_id: str | None,
        cause: str | None,
    ) -> Alert:
        raised = worst(known.severity, severity)
        alert = msgspec.structs.replace(
            known,
            severity=raised,
            title=title,
            detail=detail,
            data=known.data if data is None else data,
            episode_id=episode_id or known.episode_id,
            updated_us=now,
            count=known.count + 1,
            cause=cause,
        )
        if raised != known.severity:
            alert = msgspec.structs.replace(alert, state="open")
            self.channels.notify(tx, alert, "alert.escalated", governing)
        store.update_alert(tx, alert)
        return alert

    def clear(self, who: Principal, dedupe_key: str, *, note: str = "") -> Alert | None:
        """Resolve the active alert with this key because its condition ended; None where there is none."""
        self.govern.permit(who, "write", "alerts")
        check_text(note, "note")
        with self._db.write() as tx:
            tx.lock(f"alerts.alert:{dedupe_key}")
            known = store.newest_of_key(tx, dedupe_key=dedupe_key)
            if known is None or known.state == "resolved":
                return None
            return self._resolve(tx, who, known, note, known.cause)

    def acknowledge(self, who: Principal, alert_id: str, *, note: str = "") -> Alert:
        """Say that someone looks after an alert; raises AlertNotFound, and AlertNotActive once it is resolved."""
        self.govern.permit(who, "write", "alerts")
        check_text(note, "note")
        with self._db.write() as tx:
            known = self._lock(tx, alert_id)
            if known.state == "resolved":
                raise AlertNotActive(f"Alert {alert_id} is resolved already.")
            if known.state == "acknowledged":
                return known
            now = now_us()
            alert = msgspec.structs.replace(
                known,
                state="acknowledged",
                acknowledged_us=now,
                acknowledged_by=who.id,
                updated_us=now,
                note=note or known.note,
            )
            store.update_alert(tx, alert)
            self.govern.audit(
                tx, who, "alerts.acknowledge", refs.make("alert", alert_id), detail={"note": note}
            )
        return alert

    def resolve(self, who: Principal, alert_id: str, *, note: str = "") -> Alert:
        """End an alert; one that is resolved already stays as it is. Raises AlertNotFound."""
        self.govern.permit(who, "write", "alerts")
        check_text(note, "note")
        with self._db.write() as tx:
            known = self._lock(tx, alert_id)
            return known if known.state == "resolved" else self._resolve(tx, who, known, note, known.cause)

    def get(self, who: Principal, alert_id: str) -> Alert:
        """Return an alert; raises AlertNotFound."""
        self.govern.permit(who, "read", "alerts")
        with self._db.read() as tx:
            return _require(tx, alert_id)

    def find(
        self,
        who: Principal,
        *,
        state: AlertState | None = None,
        severity: Severity | None = None,
        rule: str | None = None,
        subject: str | None = None,
        episode_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Alert]:
        """Return alerts, newest first."""
        self.govern.permit(who, "read", "alerts")
        size = check_limit(limit)
        where = Where().equals(
            state=state, severity=severity, rule=rule, subject=subject, episode_id=episode_id
        )
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.alerts(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda alert: alert.id)

    def evaluate(self, who: Principal, record: EventRecord) -> None:
        """Hold an event against every enabled rule; doing so again, or late after a newer one, changes nothing."""
        self.govern.permit(who, "write", "alerts")
        with self._db.read() as tx:
            rules = [rule for rule in self.rules.every(tx) if rule.enabled and rule.condition is not None]
        facts = facts_of(record)
        for rule in rules:
            assert rule.condition is not None
            opens = rule.condition.holds(record)
            if not opens and not (rule.clear is not None and rule.clear.holds(record)):
                continue
            key = f"{rule.name}:{fill(rule.key, facts)}"[:_MOST_KEY]
            with self._db.write() as tx:
                tx.lock(f"alerts.alert:{key}")
                # Events may be delivered twice and out of order; what was true last is what counts.
                if not store.advance(tx, dedupe_key=key, seq=record.seq):
                    continue
                if opens:
                    self._report(
                        tx,
                        who,
                        rule=rule.name,
                        severity=rule.severity or "warning",
                        title=fill(rule.title, facts)[:_MOST_TITLE],
                        detail=fill(rule.detail, facts)[:_MOST_DETAIL],
                        subject=record.subject,
                        dedupe_key=key,
                        data=record.data,
                        episode_id=None,
                        cause=record.id,
                    )
                    continue
                known = store.newest_of_key(tx, dedupe_key=key)
                if known is not None and known.state != "resolved":
                    self._resolve(tx, who, known, "The condition ended.", record.id)

    def sweep(self, who: Principal, *, deliveries_before_us: int) -> int:
        """Resolve what its rule lets go after a quiet time, forget old deliveries; return how many resolved."""
        self.govern.permit(who, "write", "alerts")
        now, resolved = now_us(), 0
        with self._db.read() as tx:
            quiet = [
                (alert_id, rule.resolve_after_us)
                for rule in self.rules.every(tx)
                if rule.resolve_after_us is not None
                for alert_id in store.quiet_alerts(tx, rule=rule.name, before_us=now - rule.resolve_after_us)
            ]
        for alert_id, after_us in quiet:
            with self._db.write() as tx:
                known = self._lock(tx, alert_id)
                if known.state != "resolved" and known.updated_us < now - after_us:
                    self._resolve(tx, who, known, "Not reported any more.", known.cause)
                    resolved += 1
        with self._db.write() as tx:
            store.delete_deliveries(tx, before_us=deliveries_before_us)
        return resolved

    def _lock(self, tx: Tx, alert_id: str) -> Alert:
        tx.lock(f"alerts.alert:{_require(tx, alert_id).dedupe_key}")
        return _require(tx, alert_id)

    def _resolve(self, tx: Tx, who: Principal, known: Alert, note: str, cause: str | None) -> Alert:
        now = now_us()
        alert = msgspec.structs.replace(
            known,
            state="resolved",
            resolved_us=now,
            resolved_by=who.id,
            updated_us=now,
            note=note or known.note,
            cause=cause,
        )
        store.update_alert(tx, alert)
        self.channels.notify(tx, alert, "alert.resolved", self.rules.named(tx, alert.rule))
        self.govern.audit(tx, who, "alerts.resolve", refs.make("alert", alert.id), detail={"note": note})
        self._bus.emit(
            tx,
            AlertResolved(alert.id, alert.rule, alert.dedupe_key, note, alert.episode_id),
            subject=alert.subject,
            actor=who.id,
        )
        return alert


def _require(tx: Tx, alert_id: str) -> Alert:
    alert = store.alert(tx, alert_id=alert_id)
    if alert is None:
        raise AlertNotFound(f"There is no alert {alert_id!r}.")
    return alert


def _check_report(
    rule: str, severity: str, title: str, detail: str, subject: str, dedupe_key: str, data: dict[str, Any]
) -> None:
    check_name(rule, "rule")
    if severity not in SEVERITIES:
        raise Invalid(f"Unknown severity {severity!r}.{did_you_mean(severity, SEVERITIES)}", field="severity")
    check_text(title, "title", required=True)
    check_text(detail, "detail")
    try:
        refs.split(subject)
    except ValueError as error:
        raise Invalid(
            f"subject must be a reference such as 'monitor:flights', not {subject[:80]!r}.", field="subject"
        ) from error
    if not 0 < len(dedupe_key) <= _MOST_KEY:
        raise Invalid(f"dedupe_key has 1 to {_MOST_KEY} characters.", field="dedupe_key")
    if len(msgspec.json.encode(data)) > _MOST_DATA_BYTES:
        raise Invalid(f"data is larger than {_MOST_DATA_BYTES} bytes.", field="data")
