"""The table of assessments."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.assessments.model import (
    SESSION_MARK,
    Assessment,
    AssessmentError,
    number_of,
    written,
)
from trimtab.domains.traces.listing import listed
from trimtab.infra.db import Tx, load
from trimtab.infra.db.port import Row

Q = load(__package__ or "")


def insert(tx: Tx, *, trace_no: int, assessment: Assessment) -> None:
    """Add an assessment; raises Duplicate for an id that is taken."""
    tx.run(Q.insert_assessment, **_row(trace_no, assessment))


def put(tx: Tx, *, trace_no: int, assessments: Sequence[Assessment]) -> None:
    """Add assessments, or put them in the place of the trace's own ones of their ids."""
    tx.many(Q.put_assessment, [_row(trace_no, one) for one in assessments])


def get(tx: Tx, *, trace_no: int, trace_id: str, assessment_id: str) -> Assessment | None:
    row = tx.one(Q.assessment, trace_no=trace_no, id=assessment_id)
    return _assessment(row, trace_id) if row is not None else None


def of_traces(tx: Tx, *, traces: dict[int, str]) -> dict[int, list[Assessment]]:
    """Return the assessments of traces, given as number -> id, in the order of their making."""
    found: dict[int, list[Assessment]] = {no: [] for no in traces}
    for row in tx.all(Q.assessments, traces=listed(tx, list(traces))):
        found[row[0]].append(_assessment(row, traces[row[0]]))
    return found


def set_valid(tx: Tx, *, trace_no: int, assessment_id: str, valid: bool) -> bool:
    return tx.run(Q.set_valid, trace_no=trace_no, id=assessment_id, valid=int(valid)) == 1


def delete(tx: Tx, *, trace_no: int, assessment_id: str) -> bool:
    return tx.run(Q.delete_assessment, trace_no=trace_no, id=assessment_id) == 1


def _row(trace_no: int, one: Assessment) -> dict[str, Any]:
    number, numeric = number_of(one.value)
    metadata = written(one.metadata) if one.metadata else None
    return {
        "id": one.id,
        "trace_no": trace_no,
        "name": one.name,
        "kind": one.kind,
        "value": written(one.value),
        "error": msgspec.json.encode(one.error).decode() if one.error else None,
        "number": number,
        "numeric_value": int(numeric),
        "source_type": one.source_type,
        "source_id": one.source_id,
        "run_id": one.run_id,
        "span_id": one.span_id,
        "rationale": one.rationale,
        "overrides": one.overrides,
        "valid": int(one.valid),
        "metadata": metadata,
        "session_wide": int(metadata is not None and SESSION_MARK in metadata),
        "created_us": one.created_us,
        "updated_us": one.updated_us,
    }


def _assessment(row: Row, trace_id: str) -> Assessment:
    return Assessment(
        id=row[1],
        trace_id=trace_id,
        name=row[2],
        kind=row[3],
        value=msgspec.json.decode(row[4]),
        error=msgspec.json.decode(row[5], type=AssessmentError) if row[5] else None,
        source_type=row[6],
        source_id=row[7],
        run_id=row[8],
        span_id=row[9],
        rationale=row[10],
        overrides=row[11],
        valid=bool(row[12]),
        metadata=msgspec.json.decode(row[13], type=dict[str, str]) if row[13] else None,
        created_us=row[14],
        updated_us=row[15],
    )
