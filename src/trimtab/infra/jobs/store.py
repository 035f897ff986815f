"""The queue's tables: jobs and schedules."""

from typing import Any

import msgspec

from trimtab.infra.db import Tx, Where, load
from trimtab.infra.jobs.model import Job, JobRecord, Schedule

Q = load(__package__ or "")


def insert(tx: Tx, *, payload: dict[str, Any], **columns: Any) -> bool:
    return tx.run(Q.insert_job, payload=_dump(payload), **columns) == 1


def active_by_key(tx: Tx, *, kind: str, dedupe_key: str) -> str | None:
    row = tx.one(Q.active_by_key, kind=kind, dedupe_key=dedupe_key)
    return row[0] if row else None


def active_like(tx: Tx, *, job_id: str) -> str | None:
    """Return another job of the same kind and key that waits or runs."""
    row = tx.one(Q.active_like, id=job_id)
    return row[0] if row else None


def claim(tx: Tx, *, queue: str, owner: str, now_us: int, lease_until_us: int) -> Job | None:
    row = tx.one(Q.claim, queue=queue, owner=owner, now_us=now_us, lease_until_us=lease_until_us)
    if row is None:
        return None
    job_id, kind, its_queue, payload, attempts, max_attempts = row
    return Job(job_id, kind, its_queue, msgspec.json.decode(payload), attempts, max_attempts)


def any_due(tx: Tx, *, queue: str, now_us: int) -> bool:
    return tx.one(Q.any_due, queue=queue, now_us=now_us) is not None


def count_due(tx: Tx, *, queue: str, now_us: int) -> int:
    row = tx.one(Q.count_due, queue=queue, now_us=now_us)
    return row[0] if row else 0


def count_running(tx: Tx, *, queue: str) -> int:
    row = tx.one(Q.count_running, queue=queue)
    return row[0] if row else 0


def extend(
    tx: Tx, *, job_id: str, owner: str, lease_until_us: int, progress: float | None, note: str | None
) -> bool:
    changed = tx.run(
        Q.extend, id=job_id, owner=owner, lease_until_us=lease_until_us, progress=progress, note=note
    )
    return changed == 1


def finish(
    tx: Tx, *, job_id: str, owner: str, state: str, due_us: int, error: str | None, ended_us: int | None
) -> bool:
    changed = tx.run(
        Q.finish, id=job_id, owner=owner, state=state, due_us=due_us, error=error, ended_us=ended_us
    )
    return changed == 1


def running_owners(tx: Tx) -> list[str]:
    return [row[0] for row in tx.all(Q.running_owners)]


def release(tx: Tx, *, owner: str, now_us: int) -> int:
    """Give back what an owner holds and what has outlived its lease; bury what has no attempt left."""
    tx.run(Q.bury_lost, owner=owner, now_us=now_us)
    return tx.run(Q.requeue_lost, owner=owner, now_us=now_us)


def get(tx: Tx, *, job_id: str) -> JobRecord | None:
    row = tx.one(Q.get, id=job_id)
    return _record(row) if row else None


def list_(tx: Tx, *, where: Where, limit: int) -> list[JobRecord]:
    return [_record(row) for row in tx.all(Q.list.with_(where=where.sql), limit=limit, **where.params)]


def retry(tx: Tx, *, job_id: str, now_us: int) -> bool:
    return tx.run(Q.retry, id=job_id, now_us=now_us) == 1


def counts(tx: Tx) -> list[tuple[str, str, int]]:
    return [(queue, state, number) for queue, state, number in tx.all(Q.counts)]


def delete_ended(tx: Tx, *, before_us: int) -> int:
    return tx.run(Q.delete_ended, before_us=before_us)


def put_schedule(tx: Tx, schedule: Schedule) -> None:
    columns = msgspec.structs.asdict(schedule)
    columns["payload"] = _dump(schedule.payload)
    tx.run(Q.put_schedule, **columns)


def delete_schedule(tx: Tx, *, name: str) -> bool:
    return tx.run(Q.delete_schedule, name=name) == 1


def schedules_due(tx: Tx, *, now_us: int) -> list[Schedule]:
    rows = tx.all(Q.schedules_due, now_us=now_us)
    return [
        Schedule(name, kind, queue, msgspec.json.decode(payload), cron, every_us, next_us)
        for name, kind, queue, payload, cron, every_us, next_us in rows
    ]


def advance_schedule(tx: Tx, *, name: str, was_us: int, next_us: int) -> bool:
    return tx.run(Q.advance_schedule, name=name, was_us=was_us, next_us=next_us) == 1


def _dump(payload: dict[str, Any]) -> str:
    return msgspec.json.encode(payload).decode()


def _record(row: tuple[Any, ...]) -> JobRecord:
    columns = list(row)
    columns[4] = msgspec.json.decode(row[4])
    return JobRecord(*columns)
