"""Counts over the tables of runs."""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.tracking.catalog.model import Facet, FacetValue
from trimtab.domains.tracking.runs.search import within
from trimtab.infra.db import Query, Tx, Where, load

Q = load(__package__ or "")


def columns(tx: Tx, query: Query, experiments: Sequence[int]) -> dict[int, int]:
    """Return how many runs have each key, by its number."""
    here, numbers = within(experiments, "experiment_no", tx.dialect)
    return dict(tx.all(query.with_(here=here), **numbers))


def total(tx: Tx, where: Where) -> int:
    """Return how many runs conditions match."""
    row = tx.one(Q.total.with_(where=where.sql), **where.params)
    assert row is not None
    return row[0]


def facet(
    tx: Tx, by: str, *, value: str, joins: str, where: Where, params: dict[str, Any], most: int
) -> Facet:
    """Return the most frequent values of an expression over the runs that conditions match."""
    given = {**where.params, **params}
    rows = tx.all(Q.facet.with_(value=value, joins=joins, where=where.sql), most=most + 1, **given)
    shown = [FacetValue(str(one), count) for one, count in rows[:most]]
    others = 0
    if len(rows) > most:
        whole = tx.one(Q.facet_total.with_(joins=joins, where=where.sql), **given)
        others = (whole[0] if whole else 0) - sum(one.runs for one in shown)
    return Facet(by, shown, others)
