"""The tables of traces as wholes, and the end of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.assessments import store as assessments_store
from trimtab.domains.traces.infos.model import NAME_TAG, Trace, promoted_metadata
from trimtab.domains.traces.listing import Term, columns_sql, listed, order_sql
from trimtab.infra.db import Tx, Where, load
from trimtab.infra.db.port import Row

Q = load(__package__ or "")

_COLUMNS = (
    "no",
    "id",
    "experiment_no",
    "request_us",
    "duration_us",
    "state",
    "name",
    "session",
    "client_request_id",
    "request_preview",
    "response_preview",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_hour_tokens",
    "input_cost",
    "output_cost",
    "total_cost",
    "root",
    "stated",
)
NEW: dict[str, Any] = dict.fromkeys(_COLUMNS[2:]) | {"state": "IN_PROGRESS", "stated": 0}
"""The columns of a trace of which nothing is known."""
_PURGES = (
    Q.purge_tags,
    Q.purge_metadata,
    Q.purge_spans,
    Q.purge_chunks,
    Q.purge_runs,
    Q.purge_prompts,
    Q.purge_assessments,
    Q.purge_traces,
)


class Head(msgspec.Struct):
    """The row of a trace, with its columns by name; ``columns`` may be changed and put back."""

    no: int
    id: str
    columns: dict[str, Any]


def heads(tx: Tx, *, ids: Sequence[str]) -> dict[str, Head]:
    """Return the rows of the traces that are there, by id."""
    rows = tx.all(Q.find, ids=listed(tx, ids))
    return {row[1]: Head(row[0], row[1], dict(zip(_COLUMNS[2:], row[2:], strict=True))) for row in rows}


def insert(tx: Tx, *, trace_id: str, columns: Mapping[str, Any]) -> Head | None:
    """Add a trace; returns None where the id is taken."""
    row = tx.one(Q.insert_trace, **{"id": trace_id, **columns})
    return Head(row[0], trace_id, dict(columns)) if row is not None else None


def update(tx: Tx, head: Head) -> None:
    """Put a row back as its columns say."""
    tx.run(Q.update_trace, no=head.no, **head.columns)


def set_name(tx: Tx, *, trace_no: int, name: str | None) -> None:
    tx.run(Q.set_name, no=trace_no, name=name)


def put_tags(tx: Tx, *, trace_no: int, tags: Mapping[str, str]) -> None:
    rows = [{"trace_no": trace_no, "key": key, "value": tags[key]} for key in sorted(tags) if key != NAME_TAG]
    tx.many(Q.put_tag, rows)


def delete_tag(tx: Tx, *, trace_no: int, key: str) -> bool:
    return tx.run(Q.delete_tag, trace_no=trace_no, key=key) == 1


def put_metadata(tx: Tx, *, trace_no: int, metadata: Mapping[str, str], keep: bool = False) -> None:
    """Set metadata; with ``keep``, only what is not there yet."""
    rows = [{"trace_no": trace_no, "key": key, "value": metadata[key]} for key in sorted(metadata)]
    tx.many(Q.keep_metadata if keep else Q.put_metadata, rows)


def link_run(tx: Tx, *, run_id: str, traces: Sequence[int]) -> None:
    tx.many(Q.link_run, [{"run_id": run_id, "trace_no": no} for no in sorted(traces)])


def link_prompts(tx: Tx, *, trace_no: int, prompts: Sequence[str]) -> None:
    tx.many(Q.link_prompt, [{"prompt": prompt, "trace_no": trace_no} for prompt in sorted(set(prompts))])


def find(tx: Tx, *, ids: Sequence[str]) -> list[Trace]:
    """Return the traces that are there, in the order of the ids."""
    rows = {row[1]: row for row in tx.all(Q.find, ids=listed(tx, ids))}
    return _complete(tx, [rows[one] for one in dict.fromkeys(ids) if one in rows])


def page(
    tx: Tx, *, where: Where, terms: Sequence[Term], params: Mapping[str, Any], limit: int
) -> list[tuple[Trace, Row]]:
    """Return traces with their sort values."""
    query = Q.page.with_(columns=columns_sql(terms), where=where.sql, order=order_sql(terms))
    rows = tx.all(query, limit=limit, **where.params, **params)
    width = len(_COLUMNS)
    traces = _complete(tx, [row[:width] for row in rows])
    return [(trace, row[width:]) for trace, row in zip(traces, rows, strict=True)]


def candidates(
    tx: Tx,
    *,
    where: Where,
    terms: Sequence[Term],
    columns: Sequence[Term],
    params: Mapping[str, Any],
    limit: int,
) -> list[tuple[int, str, Row]]:
    """Return (number, id, further columns) of traces in order."""
    query = Q.candidates.with_(columns=columns_sql(columns), where=where.sql, order=order_sql(terms))
    return [(row[0], row[1], row[2:]) for row in tx.all(query, limit=limit, **where.params, **params)]


def matching(tx: Tx, *, where: Where) -> set[int]:
    """Return the numbers of all traces that a search matches."""
    return {no for (no,) in tx.all(Q.matching.with_(where=where.sql), **where.params)}


def count_matching(tx: Tx, *, where: Where) -> int:
    row = tx.one(Q.count_matching.with_(where=where.sql), **where.params)
    assert row is not None
    return row[0]


def doomed(tx: Tx, *, where: Where, limit: int) -> list[tuple[int, str]]:
    """Return (number, id) of the oldest traces that a deletion names."""
    return [(no, id_) for no, id_ in tx.all(Q.doomed.with_(where=where.sql), limit=limit, **where.params)]


def to_trash(tx: Tx, *, traces: Sequence[int], now_us: int) -> None:
    tx.run(Q.to_trash, traces=listed(tx, traces), now_us=now_us)


def from_trash(tx: Tx, *, trace_id: str) -> bool:
    return tx.run(Q.from_trash, id=trace_id) == 1


def drop_from_trash(tx: Tx, *, trace_id: str) -> None:
    """End a trace that is in the trash, so that its id is free again."""
    row = tx.one(Q.in_trash, id=trace_id)
    if row is not None:
        end(tx, traces=[row[0]])


def purgeable(tx: Tx, *, before_us: int, held: Sequence[int], limit: int) -> list[tuple[int, str]]:
    """Return (number, id) of traces that went to the trash before a time, but for those of some experiments."""
    rows = tx.all(Q.purgeable, before_us=before_us, held=listed(tx, held), limit=limit)
    return [(no, id_) for no, id_ in rows]


def of_experiment(tx: Tx, *, experiment_no: int, limit: int) -> list[tuple[int, str]]:
    """Return (number, id) of an experiment's traces, also of those in the trash."""
    return [(no, id_) for no, id_ in tx.all(Q.of_experiment, experiment_no=experiment_no, limit=limit)]


def end(tx: Tx, *, traces: Sequence[int]) -> None:
    """Remove traces and all that belongs to them, for ever."""
    wanted = listed(tx, traces)
    for query in _PURGES:
        tx.run(query, traces=wanted)


def _complete(tx: Tx, rows: Sequence[Row]) -> list[Trace]:
    if not rows:
        return []
    numbers = [row[0] for row in rows]
    wanted = listed(tx, numbers)
    tags: dict[int, dict[str, str]] = {no: {} for no in numbers}
    metadata: dict[int, dict[str, str]] = {no: {} for no in numbers}
    for no, key, value in tx.all(Q.tags, traces=wanted):
        tags[no][key] = value
    for no, key, value in tx.all(Q.metadata, traces=wanted):
        metadata[no][key] = value
    assessments = assessments_store.of_traces(tx, traces={row[0]: row[1] for row in rows})
    traces: list[Trace] = []
    for row in rows:
        columns: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        no = row[0]
        if columns["name"] is not None:
            tags[no][NAME_TAG] = columns["name"]
        traces.append(
            Trace(
                no=no,
                id=row[1],
                experiment_id=str(columns["experiment_no"]),
                request_us=columns["request_us"],
                duration_us=columns["duration_us"],
                state=columns["state"],
                client_request_id=columns["client_request_id"],
                request_preview=columns["request_preview"],
                response_preview=columns["response_preview"],
                root=columns["root"],
                tags=tags[no],
                metadata=metadata[no] | promoted_metadata(columns),
                assessments=assessments[no],
            )
        )
    return traces
