"""The tables of edges and of labels."""

from collections.abc import Sequence

from trimtab.domains.lineage.model import Edge, Way
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")

_MOST_IN_A_STATEMENT = 500


def insert_edge(tx: Tx, edge: Edge) -> bool:
    """Add an edge and return whether it is new."""
    return (
        tx.run(Q.insert_edge, source=edge.source, target=edge.target, kind=edge.kind, at_us=edge.at_us) == 1
    )


def edges(tx: Tx, refs: Sequence[str], *, way: Way, most: int, kinds: Sequence[str] = ()) -> list[Edge]:
    """Return edges that end (``up``) or begin (``down``) at the references, newest first for each statement."""
    column = "target" if way == "up" else "source"
    found: list[Edge] = []
    for start in range(0, len(refs), _MOST_IN_A_STATEMENT):
        where = Where().any_of(column, list(refs[start : start + _MOST_IN_A_STATEMENT]))
        if kinds:
            where.any_of("kind", list(kinds))
        rows = tx.all(Q.edges.with_(where=where.sql), most=most - len(found), **where.params)
        found += [Edge(*row) for row in rows]
        if len(found) >= most:
            break
    return found


def set_label(tx: Tx, *, ref: str, label: str) -> None:
    tx.run(Q.set_label, ref=ref, label=label)


def labels(tx: Tx, refs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(refs), _MOST_IN_A_STATEMENT):
        where = Where().any_of("ref", list(refs[start : start + _MOST_IN_A_STATEMENT]))
        found.update((ref, label) for ref, label in tx.all(Q.labels.with_(where=where.sql), **where.params))
    return found
