"""The outbox's table of events."""

from typing import Any

import msgspec

from trimtab.infra.db import Tx, load
from trimtab.kernel.events import EventRecord

Q = load(__package__ or "")


def insert(
    tx: Tx, *, event_id: str, kind: str, at_us: int, subject: str, actor: str, data: dict[str, Any]
) -> None:
    tx.run(
        Q.insert_event,
        id=event_id,
        kind=kind,
        at_us=at_us,
        subject=subject,
        actor=actor,
        data=msgspec.json.encode(data).decode(),
    )


def get(tx: Tx, *, event_id: str) -> EventRecord | None:
    row = tx.one(Q.event, id=event_id)
    return _record(row) if row else None


def after(tx: Tx, *, seq: int, most: int) -> list[EventRecord]:
    return [_record(row) for row in tx.all(Q.events_after, seq=seq, most=most)]


def last_seq(tx: Tx) -> int:
    row = tx.one(Q.last_seq)
    return row[0] if row else 0


def delete_before(tx: Tx, *, before_us: int) -> int:
    return tx.run(Q.delete_before, before_us=before_us)


def _record(row: tuple[Any, ...]) -> EventRecord:
    seq, event_id, kind, at_us, subject, actor, data = row
    return EventRecord(seq, event_id, kind, at_us, subject, actor, msgspec.json.decode(data))
