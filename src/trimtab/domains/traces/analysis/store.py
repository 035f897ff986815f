"""The statements of figures, put together from fragments that hold bound values only."""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.traces.analysis.model import View
from trimtab.infra.db import Tx, Where, load
from trimtab.infra.db.port import Row

Q = load(__package__ or "")

_TABLES: dict[View, str] = {
    "TRACES": "traces_trace t",
    "SPANS": "traces_trace t join traces_span s on s.trace_no = t.no",
    "ASSESSMENTS": "traces_trace t join traces_assessment a on a.trace_no = t.no",
}


def grouped(
    tx: Tx,
    *,
    view: View,
    where: Where,
    groups: Sequence[str],
    numbers: Sequence[str],
    limit: int,
    params: dict[str, Any],
) -> list[Row]:
    """Return the groups in order, each with its numbers behind."""
    places = ", ".join(str(place + 1) for place in range(len(groups)))
    query = Q.grouped.with_(
        columns=", ".join([*groups, *numbers]),
        tables=_TABLES[view],
        where=where.sql,
        grouping=f"group by {places} order by {places}" if groups else "",
    )
    return tx.all(query, limit=limit, **where.params, **params)


def values(
    tx: Tx, *, view: View, where: Where, groups: Sequence[str], value: str, params: dict[str, Any]
) -> list[Row]:
    """Return every value with its group before it, both in order."""
    places = ", ".join(str(place + 1) for place in range(len(groups) + 1))
    query = Q.values.with_(
        columns=", ".join([*groups, value]), tables=_TABLES[view], where=where.sql, order=places
    )
    return tx.all(query, **where.params, **params)
