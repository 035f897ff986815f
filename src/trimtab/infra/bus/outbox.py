"""Stores events with one delivery for each subscriber, and lets live pages follow what was committed."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from trimtab.infra.bus import store
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent
from trimtab.kernel.events import Event, EventRecord
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us

Handler = Callable[[EventRecord], None]

DELIVER = "bus.deliver"


class Bus:
    """Emits in the caller's transaction; delivers at least once, with retries and then a dead letter.

    Handlers must be idempotent. High-volume facts (metric points, predictions) are never events.
    """

    def __init__(self, db: Database, jobs: Jobs) -> None:
        self._db = db
        self._jobs = jobs
        self._subscribers: dict[str, dict[str, Handler]] = {}
        self._committed = threading.Condition()
        jobs.handler(DELIVER, self._deliver)

    def subscribe(self, event: type[Event], name: str, handler: Handler) -> None:
        """Have the handler called after each commit that holds such an event; the name must stay stable."""
        subscribers = self._subscribers.setdefault(event.kind(), {})
        if name in subscribers:
            raise ValueError(f"{name} subscribes to {event.kind()} twice")
        subscribers[name] = handler

    def emit(self, tx: Tx, event: Event, *, subject: str, actor: str) -> str:
        """Store the event and its deliveries in the transaction; return the event's id."""
        kind = event.kind()
        event_id = new_id()
        data: dict[str, Any] = msgspec.to_builtins(event)
        data.pop("kind", None)
        at_us = now_us()

        def append() -> None:
            # Numbered last and under a lock, so that the order of seq is the order of commits, which followers
            # rely on. Transactions that take other locks before or after emitting cannot wait in a circle so.
            tx.lock("bus")
            store.insert(
                tx, event_id=event_id, kind=kind, at_us=at_us, subject=subject, actor=actor, data=data
            )

        tx.before_commit(append)
        for subscriber in self._subscribers.get(kind, {}):
            self._jobs.enqueue(tx, DELIVER, {"event": event_id, "subscriber": subscriber}, max_attempts=8)
        tx.after_commit(self._announce)
        return event_id

    def after(self, seq: int, *, most: int = 200) -> list[EventRecord]:
        """Return the committed events that follow a sequence number, oldest first."""
        with self._db.read() as tx:
            return store.after(tx, seq=seq, most=most)

    def last_seq(self) -> int:
        """Return the number of the newest event, 0 where there is none."""
        with self._db.read() as tx:
            return store.last_seq(tx)

    def wait(self, timeout_s: float) -> None:
        """Return when this process has committed an event, or after the time-out; others' commits only time out."""
        with self._committed:
            self._committed.wait(timeout_s)

    def expire(self, *, before_us: int) -> int:
        """Delete events older than a moment and return how many went."""
        with self._db.write() as tx:
            return store.delete_before(tx, before_us=before_us)

    def _announce(self) -> None:
        with self._committed:
            self._committed.notify_all()

    def _deliver(self, job: Job, _: JobContext) -> None:
        with self._db.read() as tx:
            record = store.get(tx, event_id=job.payload["event"])
        if record is None:
            raise Permanent("the event has expired")
        handler = self._subscribers.get(record.kind, {}).get(job.payload["subscriber"])
        if handler is None:
            raise Permanent(f"nothing subscribes as {job.payload['subscriber']!r} any more")
        handler(record)
