"""Finds runs without looking at all of them: along an index in the order asked for, or from the few that a condition leaves.

An index holds the values of a metric, a parameter or a tag within an experiment, in order. A search that is ordered by one
walks it and stops after a page. Where the first thousands of rows do not fill the page, its conditions are asked how few
runs each leaves: those of the strictest are then sorted, unless even it leaves too many.
"""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.tracking.runs import store
from trimtab.domains.tracking.runs.search import PREFIX, Lead, Plan, Source, within
from trimtab.domains.tracking.sorting import Term, follow, order_sql
from trimtab.infra.db import Tx, Where

Row = tuple[Any, ...]
_FIRST_STRETCH = 4000  # rows of the index that are tried before anything is counted
_FEW = 20_000  # runs that are rather sorted than walked for
_MOST_WALKS = 16  # experiments whose walks are merged
_PRESENT, _NAN, _MISSING = 0, 1, 2


def find(
    tx: Tx, plan: Plan, *, experiments: Sequence[int], limit: int, after: Sequence[Any] | None
) -> list[Row]:
    """Return (number, *sort values) of the runs that follow a place, in order."""
    lead = plan.lead if len(experiments) <= _MOST_WALKS else None
    by_number = lead is not None and (lead.table is None or lead.is_metric)
    if lead is not None and by_number and len(experiments) == 1 and plan.sources:
        rows = _first_stretch(tx, plan, lead, experiments[0], limit, after)
        if rows is not None:
            return rows
    source = _strictest(tx, plan, experiments)
    if source is not None:
        return _from_few(tx, plan, source, experiments, limit, after)
    if lead is not None:
        return _walk(tx, plan, lead, experiments, limit, after)
    return _from_all(tx, plan, experiments, limit, after)


def _first_stretch(
    tx: Tx, plan: Plan, lead: Lead, experiment: int, limit: int, after: Sequence[Any] | None
) -> list[Row] | None:
    """Return a page if the next rows of the index fill it; None where they do not."""
    phase = None if lead.table is None else _PRESENT
    if phase == _PRESENT and after is not None and after[0] != _PRESENT:
        return None
    bound = None if after is None else after[0 if phase is None else 1]
    edge = store.edge(
        tx,
        lead.table or "tracking_run",
        "r.started_us" if phase is None else "r.value",
        experiment,
        None if phase is None else plan.join_params["o0_key"],
        ascending=lead.ascending,
        bound=bound,
        offset=_FIRST_STRETCH,
        nan=lead.is_metric,
    )
    if edge is None:
        return _walk(tx, plan, lead, [experiment], limit, after)
    rows = _one_walk(tx, plan, lead, experiment, limit, after, phase=phase, edge=edge)
    return rows if len(rows) >= limit else None


def _strictest(tx: Tx, plan: Plan, experiments: Sequence[int]) -> Source | None:
    """Return the condition that leaves the fewest runs, if these are few."""
    here = within(experiments, "x.experiment_no", tx.dialect)
    most, found = _FEW, None
    for source in plan.sources:
        count = store.count_rows(tx, source.table, source.condition, here, source.params, most=most)
        if count < most:
            most, found = count, source
    return found


def _from_few(
    tx: Tx, plan: Plan, source: Source, experiments: Sequence[int], limit: int, after: Sequence[Any] | None
) -> list[Row]:
    here, numbers = within(experiments, "x.experiment_no", tx.dialect)
    return _search(
        tx,
        tables=f"{source.table} x cross join tracking_run r {' '.join(plan.joins.values())}",
        where=_copy(plan.where, numbers, f"r.no = x.run_no and {here} and {source.condition}"),
        columns=plan.terms,
        terms=plan.terms,
        after=after,
        limit=limit,
        params=plan.join_params,
    )


def _from_all(
    tx: Tx, plan: Plan, experiments: Sequence[int], limit: int, after: Sequence[Any] | None
) -> list[Row]:
    here, numbers = within(experiments, "r.experiment_no", tx.dialect)
    return _search(
        tx,
        tables=f"tracking_run r {' '.join(plan.joins.values())}",
        where=_copy(plan.where, numbers, here),
        columns=plan.terms,
        terms=plan.terms,
        after=after,
        limit=limit,
        params=plan.join_params,
    )


def _walk(
    tx: Tx, plan: Plan, lead: Lead, experiments: Sequence[int], limit: int, after: Sequence[Any] | None
) -> list[Row]:
    if lead.table is None:
        return _merged(tx, plan, lead, experiments, limit, after, phase=None)
    phases = [_PRESENT]
    if not lead.required:
        phases += [_NAN, _MISSING] if lead.is_metric else [_MISSING]
    found: list[Row] = []
    for phase in phases:
        if after is not None and after[0] > phase:
            continue
        place = after if after is not None and after[0] == phase else None
        found += _merged(tx, plan, lead, experiments, limit - len(found), place, phase=phase)
        if len(found) >= limit:
            break
    return found


def _merged(
    tx: Tx,
    plan: Plan,
    lead: Lead,
    experiments: Sequence[int],
    limit: int,
    after: Sequence[Any] | None,
    *,
    phase: int | None,
) -> list[Row]:
    """Return the first rows of each experiment's walk, put in one order."""
    walks = [_one_walk(tx, plan, lead, experiment, limit, after, phase=phase) for experiment in experiments]
    if len(walks) == 1:
        return walks[0]
    rows = [row for walk in walks for row in walk]
    return sorted(rows, key=lambda row: _SortKey(row, plan.terms))[:limit]


def _one_walk(
    tx: Tx,
    plan: Plan,
    lead: Lead,
    experiment: int,
    limit: int,
    after: Sequence[Any] | None,
    *,
    phase: int | None,
    edge: Any = None,
) -> list[Row]:
    joins = [join for alias, join in plan.joins.items() if alias != lead.alias]
    if phase is None:
        terms = columns = plan.terms
        tables, condition = "tracking_run r", "r.experiment_no = :walked"
        place = after
    elif phase == _MISSING:
        rest = plan.terms[2:]
        nothing = Term("cast(0 as double precision)" if lead.is_metric else "''", lead.value.kind)
        columns, terms = [Term("2", int), nothing, *rest], rest
        tables = "tracking_run r"
        condition = (
            f"r.experiment_no = :walked and not exists (select 1 from {lead.table} o0"
            " where o0.run_no = r.no and o0.key_no = :o0_key)"
        )
        place = None if after is None else after[2:]
    else:
        columns = [Term(str(phase), int), lead.value, *plan.terms[2:]]
        terms = columns[1:] if lead.is_metric else [_prefix(lead), *columns[1:]]
        tables = f"{lead.table} o0 cross join tracking_run r"
        condition = "r.no = o0.run_no and o0.experiment_no = :walked and o0.key_no = :o0_key"
        condition += f" and o0.nan = {phase}" if lead.is_metric else ""
        place = (
            None if after is None else ([*after[1:]] if lead.is_metric else [after[1][:PREFIX], *after[1:]])
        )
    where = _copy(plan.where, {"walked": experiment}, condition)
    if edge is not None:
        where.add(f"{lead.value.sql} {'<' if lead.ascending else '>'} :edge", edge=edge)
    return _search(
        tx,
        tables=f"{tables} {' '.join(joins)}",
        where=where,
        columns=columns,
        terms=terms,
        after=place,
        limit=limit,
        params=plan.join_params,
    )


def _prefix(lead: Lead) -> Term:
    return Term(f"substr({lead.alias}.value, 1, {PREFIX})", str, lead.ascending)


def _copy(where: Where, params: dict[str, Any], condition: str) -> Where:
    return Where().add(condition, **params).add_all(where)


def _search(
    tx: Tx,
    *,
    tables: str,
    where: Where,
    columns: Sequence[Term],
    terms: Sequence[Term],
    after: Sequence[Any] | None,
    limit: int,
    params: dict[str, Any],
) -> list[Row]:
    if after is not None:
        follow(where, terms, after)
    return store.search(
        tx,
        columns=[column.sql for column in columns],
        tables=tables,
        where=where.sql,
        order=order_sql(terms),
        limit=limit,
        params={**params, **where.params},
    )


class _SortKey:
    """A row's sort values, compared each in the direction of its term."""

    __slots__ = ("row", "terms")

    def __init__(self, row: Row, terms: Sequence[Term]) -> None:
        self.row = row
        self.terms = terms

    def __lt__(self, other: "_SortKey") -> bool:
        for term, mine, its in zip(self.terms, self.row[1:], other.row[1:], strict=True):
            if mine != its:
                return (mine < its) is term.ascending
        return False
