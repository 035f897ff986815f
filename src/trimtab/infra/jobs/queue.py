"""Enqueues jobs in the caller's transaction, keeps schedules, and knows the handler of each kind."""

import threading
from collections.abc import Callable
from typing import Any

from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import store
from trimtab.infra.jobs.model import LEASE_US, Job, JobRecord, Queue, Schedule, next_time_us
from trimtab.kernel.errors import Conflict, NotFound
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us


class JobNotFound(NotFound):
    code = "job-not-found"


class LeaseLost(Exception):
    """Another worker holds the job now: stop, its result no longer counts."""


class JobContext:
    """What a running handler may say about its job."""

    def __init__(
        self, db: Database, job: Job, owner: str, *, stopping: threading.Event | None = None
    ) -> None:
        self._db = db
        self._job = job
        self._owner = owner
        self._stopping = stopping

    @property
    def stopping(self) -> bool:
        """Whether the process is asked to leave: a long handler saves what it has and raises Interrupted."""
        return self._stopping is not None and self._stopping.is_set()

    def heartbeat(self, *, progress: float | None = None, note: str | None = None) -> None:
        """Extend the lease and show progress (0..1); raises LeaseLost when the job was taken away."""
        with self._db.write() as tx:
            held = store.extend(
                tx,
                job_id=self._job.id,
                owner=self._owner,
                lease_until_us=now_us() + LEASE_US,
                progress=progress,
                note=note,
            )
        if not held:
            raise LeaseLost(self._job.id)


JobHandler = Callable[[Job, JobContext], None]


class Jobs:
    """A queue in the database. Work is done at least once: handlers must be idempotent."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._handlers: dict[str, JobHandler] = {}
        self._fresh = threading.Condition()

    def handler(self, kind: str, handle: JobHandler) -> None:
        """Name the function that does jobs of a kind."""
        if kind in self._handlers:
            raise ValueError(f"two handlers for jobs of kind {kind}")
        self._handlers[kind] = handle

    def handler_of(self, kind: str) -> JobHandler | None:
        return self._handlers.get(kind)

    def enqueue(
        self,
        tx: Tx,
        kind: str,
        payload: dict[str, Any],
        *,
        queue: Queue = "light",
        dedupe_key: str | None = None,
        due_us: int | None = None,
        max_attempts: int = 5,
    ) -> str:
        """Add a job to the caller's transaction and return its id.

        With a ``dedupe_key``, a job of that kind and key which still waits or runs is returned instead.
        """
        job_id = new_id("job_")
        now = now_us()
        tx.after_commit(self.wake)
        while True:
            fresh = store.insert(
                tx,
                id=job_id,
                kind=kind,
                queue=queue,
                payload=payload,
                due_us=now if due_us is None else due_us,
                max_attempts=max_attempts,
                dedupe_key=dedupe_key,
                created_us=now,
            )
            if fresh or dedupe_key is None:
                return job_id
            if known := store.active_by_key(tx, kind=kind, dedupe_key=dedupe_key):
                return known
            # The job in the way has just ended on another connection: ours must be added after all.

    def is_under_way(self, tx: Tx, kind: str, *, dedupe_key: str) -> bool:
        """Whether a job of that kind and key waits or runs."""
        return store.active_by_key(tx, kind=kind, dedupe_key=dedupe_key) is not None

    def schedule(
        self,
        tx: Tx,
        name: str,
        *,
        kind: str,
        payload: dict[str, Any] | None = None,
        cron: str | None = None,
        every_us: int | None = None,
        queue: Queue = "light",
    ) -> None:
        """Have a job enqueued by a cron expression (UTC) or each period; an unchanged schedule keeps its place."""
        next_us = next_time_us(now_us(), cron=cron, every_us=every_us)
        store.put_schedule(tx, Schedule(name, kind, queue, payload or {}, cron, every_us, next_us))

    def unschedule(self, tx: Tx, name: str) -> bool:
        """Remove a schedule; return whether it was there."""
        return store.delete_schedule(tx, name=name)

    def tick(self) -> int:
        """Enqueue what schedules have due; return how many jobs. A missed period is made up for once."""
        now = now_us()
        with self._db.read() as tx:
            due = store.schedules_due(tx, now_us=now)
        if not due:
            return 0
        with self._db.write() as tx:
            for schedule in due:
                next_us = next_time_us(now, cron=schedule.cron, every_us=schedule.every_us)
                if store.advance_schedule(tx, name=schedule.name, was_us=schedule.next_us, next_us=next_us):
                    self.enqueue(
                        tx,
                        schedule.kind,
                        schedule.payload,
                        queue=schedule.queue,
                        dedupe_key=f"schedule:{schedule.name}",
                    )
        return len(due)

    def get(self, job_id: str) -> JobRecord:
        """Return a job; raises JobNotFound."""
        with self._db.read() as tx:
            record = store.get(tx, job_id=job_id)
        if record is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return record

    def find(self, *, state: str | None = None, kind: str | None = None, limit: int = 50) -> list[JobRecord]:
        """Return the newest jobs first, optionally of one state or kind."""
        with self._db.read() as tx:
            return store.list_(tx, where=Where().equals(state=state, kind=kind), limit=limit)

    def retry(self, job_id: str) -> None:
        """Put a dead letter back into its queue; raises Conflict when it is none, or the like of it waits or runs."""
        with self._db.write() as tx:
            if other := store.active_like(tx, job_id=job_id):
                raise Conflict(f"Job {other} does the same and has not ended.")
            if not store.retry(tx, job_id=job_id, now_us=now_us()):
                raise Conflict(f"Job {job_id} is not a dead letter.")
            tx.after_commit(self.wake)

    def counts(self) -> list[tuple[str, str, int]]:
        """Return (queue, state, number) of all jobs."""
        with self._db.read() as tx:
            return store.counts(tx)

    def expire(self, *, before_us: int) -> int:
        """Delete jobs that ended before a moment and return how many went."""
        with self._db.write() as tx:
            return store.delete_ended(tx, before_us=before_us)

    def wake(self) -> None:
        """Tell the runners of this process to look at the queue now."""
        with self._fresh:
            self._fresh.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Return when this process has enqueued something, or after the time-out."""
        with self._fresh:
            self._fresh.wait(timeout_s)
