"""The table of batch predictions."""

from typing import Any

import msgspec

from trimtab.domains.deploy.batch.model import BatchPrediction, Options, Progress, State, Summary
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert(tx: Tx, batch: BatchPrediction) -> None:
    columns = msgspec.structs.asdict(batch)
    columns["options"] = _json(batch.options)
    columns["summary"] = None
    tx.run(Q.insert, **columns)


def find(tx: Tx, *, where: Where, limit: int) -> list[BatchPrediction]:
    """Return batch predictions, the newest first."""
    found: list[BatchPrediction] = []
    for row in tx.all(Q.find.with_(where=where.sql), limit=limit, **where.params):
        columns = list(row)
        columns[7] = msgspec.json.decode(row[7], type=Options)
        columns[15] = msgspec.json.decode(row[15], type=Summary) if row[15] is not None else None
        found.append(BatchPrediction(*columns))
    return found


def begin(tx: Tx, *, batch_id: str, now_us: int) -> bool:
    """Mark one as running; False where it has ended."""
    return tx.run(Q.begin, id=batch_id, now_us=now_us) == 1


def note(tx: Tx, *, batch_id: str, progress: Progress) -> bool:
    """Store how far it is; False where it runs no more, because it was cancelled."""
    noted = tx.run(
        Q.note,
        id=batch_id,
        rows_total=progress.total,
        rows_done=progress.counts.rows,
        rows_refused=progress.counts.refused,
        rows_per_s=progress.rows_per_s,
    )
    return noted == 1


def finish(
    tx: Tx,
    *,
    batch_id: str,
    state: State,
    ended_us: int,
    error: str | None = None,
    summary: Summary | None = None,
    output_version: int | None = None,
    refused_version: int | None = None,
) -> bool:
    """End one; False where it had ended before."""
    done = tx.run(
        Q.finish,
        id=batch_id,
        state=state,
        error=error,
        summary=_json(summary) if summary else None,
        output_version=output_version,
        refused_version=refused_version,
        rows_done=summary.counts.rows if summary else None,
        rows_refused=summary.counts.refused if summary else None,
        rows_total=summary.counts.rows if summary else None,
        rows_per_s=summary.rows_per_s if summary else 0.0,
        ended_us=ended_us,
    )
    return done == 1


def rename_model(tx: Tx, *, old_name: str, new_name: str) -> int:
    return tx.run(Q.rename_model, old_name=old_name, new_name=new_name)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
