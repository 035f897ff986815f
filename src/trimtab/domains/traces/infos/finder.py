"""Carries a planned search out, page by page, looking into spans where SQL cannot."""

import time
from collections.abc import Sequence
from typing import Any

from trimtab.domains.traces.assessments import store as assessments_store
from trimtab.domains.traces.assessments.model import written
from trimtab.domains.traces.infos import store
from trimtab.domains.traces.infos.model import Trace
from trimtab.domains.traces.infos.search import Plan
from trimtab.domains.traces.listing import Term, continue_after, cursor_of, values_of
from trimtab.domains.traces.spans import codec
from trimtab.domains.traces.spans import store as spans_store
from trimtab.domains.traces.spans.codec import Line
from trimtab.infra.db import Tx, Where
from trimtab.kernel.pages import Page

_BATCH = 250
_PATIENCE_S = 10.0


def search_page(tx: Tx, parts: Plan, *, limit: int, cursor: str | None, search: str) -> Page[Trace]:
    """Return a page of what a plan finds, and with a full page the cursor of the next, which may turn out empty."""
    after = values_of(cursor, parts.terms, search=search) if cursor else None
    if parts.is_plain:
        rows = store.page(tx, where=_after(parts, after), terms=parts.terms, params=parts.params, limit=limit)
        more = cursor_of(rows[-1][1], search=search) if len(rows) == limit else None
        return Page([trace for trace, _ in rows], more)
    found: list[tuple[int, str]] = []
    until = time.monotonic() + _PATIENCE_S
    width = len(parts.terms)
    columns = [*parts.terms, *(Term(f"coalesce({sql}, '')", str) for sql, _ in parts.texts)]
    while True:
        batch = store.candidates(
            tx,
            where=_after(parts, after),
            terms=parts.terms,
            columns=columns,
            params=parts.params,
            limit=_BATCH,
        )
        passed = _passing(tx, parts, [(no, trace_id, row[width:]) for no, trace_id, row in batch])
        for no, trace_id, row in batch:
            if no not in passed:
                continue
            found.append((no, trace_id))
            if len(found) == limit:
                return Page(
                    store.find(tx, ids=[one for _, one in found]), cursor_of(row[:width], search=search)
                )
        if len(batch) < _BATCH:
            return Page(store.find(tx, ids=[one for _, one in found]))
        after = list(batch[-1][2][:width])
        if time.monotonic() > until:
            return Page(store.find(tx, ids=[one for _, one in found]), cursor_of(after, search=search))


def all_matching(tx: Tx, parts: Plan) -> set[int]:
    """Return the numbers of all traces that a plan finds."""
    if parts.is_plain:
        return store.matching(tx, where=parts.where)
    found: set[int] = set()
    after: list[Any] | None = None
    terms = [Term("t.no", int)]
    columns = [*terms, *(Term(f"coalesce({sql}, '')", str) for sql, _ in parts.texts)]
    while True:
        where = _copy(parts.where)
        if after is not None:
            continue_after(where, terms, after)
        batch = store.candidates(tx, where=where, terms=terms, columns=columns, params={}, limit=_BATCH)
        found |= _passing(tx, parts, [(no, trace_id, row[1:]) for no, trace_id, row in batch])
        if len(batch) < _BATCH:
            return found
        after = [batch[-1][0]]


def _after(parts: Plan, values: Sequence[Any] | None) -> Where:
    where = _copy(parts.where)
    if values is not None:
        continue_after(where, parts.terms, values)
    return where


def _copy(where: Where) -> Where:
    return Where().add(where.sql.removeprefix("where "), **where.params)


def _passing(tx: Tx, parts: Plan, rows: Sequence[tuple[int, str, Sequence[Any]]]) -> set[int]:
    """Return the numbers of the traces that pass every check which SQL could not make."""
    passed = {
        no: trace_id
        for no, trace_id, texts in rows
        if all(matches(text) for (_, matches), text in zip(parts.texts, texts, strict=True))
    }
    if parts.assessments and passed:
        for no, said in assessments_store.of_traces(tx, traces=passed).items():
            for kind, name, matches in parts.assessments:
                if not any(
                    one.kind == kind and one.name == name and one.valid and matches(written(one.value))
                    for one in said
                ):
                    passed.pop(no, None)
    if parts.spans and passed:
        chunks = spans_store.chunks(tx, traces=list(passed))
        passed = {no: trace_id for no, trace_id in passed.items() if _any_span(parts, chunks.get(no, ()))}
    return set(passed)


def _any_span(parts: Plan, chunks: Sequence[bytes]) -> bool:
    """Return whether one span meets everything that is asked of spans."""
    for chunk in chunks:
        whole = codec.opened(chunk)
        if all(text in whole for text in parts.within):
            for raw in codec.lines(whole):
                line = Line(raw)
                if all(test(line) for test in parts.spans):
                    return True
    return False
