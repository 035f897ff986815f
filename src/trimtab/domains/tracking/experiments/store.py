"""The tables of experiments and their tags."""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.tracking.experiments.model import Experiment, State, default_location
from trimtab.domains.tracking.keys import listed
from trimtab.domains.tracking.sorting import Term, order_sql
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert(tx: Tx, *, name: str, artifact_location: str | None, now_us: int) -> int | None:
    """Add an experiment and return its number, or None when the name is taken."""
    row = tx.one(Q.insert_experiment, name=name, artifact_location=artifact_location or "", now_us=now_us)
    if row is None:
        return None
    number: int = row[0]
    if not artifact_location:
        tx.run(Q.set_location, no=number, artifact_location=default_location(number))
    return number


def get(tx: Tx, *, number: int) -> Experiment | None:
    return next(iter(_with_tags(tx, tx.all(Q.experiment, no=number))), None)


def get_by_name(tx: Tx, *, name: str) -> Experiment | None:
    return next(iter(_with_tags(tx, tx.all(Q.experiment_by_name, name=name))), None)


def bare(tx: Tx, *, number: int) -> Experiment | None:
    """Return an experiment without its tags, for checks."""
    row = tx.one(Q.experiment, no=number)
    return _experiment(row, {}) if row else None


def page(tx: Tx, *, where: Where, terms: Sequence[Term], limit: int) -> list[Experiment]:
    query = Q.experiments.with_(where=where.sql, order=order_sql(terms))
    return _with_tags(tx, tx.all(query, limit=limit, **where.params))


def rename(tx: Tx, *, number: int, name: str, now_us: int) -> None:
    tx.run(Q.rename, no=number, name=name, now_us=now_us)


def set_state(tx: Tx, *, number: int, state: State, now_us: int) -> None:
    tx.run(
        Q.set_state, no=number, state=state, now_us=now_us, deleted_us=now_us if state == "deleted" else None
    )


def put_tags(tx: Tx, *, number: int, tags: dict[str, str]) -> None:
    tx.many(Q.put_tag, [{"experiment_no": number, "key": key, "value": value} for key, value in tags.items()])


def delete_tag(tx: Tx, *, number: int, key: str) -> bool:
    return tx.run(Q.delete_tag, experiment_no=number, key=key) == 1


def purge(tx: Tx, *, number: int, keep: bool = False) -> None:
    """Remove an experiment that has no runs any more for good, its name is free then; or ``keep`` it without data sets."""
    for query in (Q.purge_datasets,) if keep else (Q.purge_tags, Q.purge_datasets, Q.purge_experiment):
        tx.run(query, no=number)


def _with_tags(tx: Tx, rows: list[tuple[Any, ...]]) -> list[Experiment]:
    tags: dict[int, dict[str, str]] = {row[0]: {} for row in rows}
    if rows:
        for number, key, value in tx.all(Q.tags, experiments=listed(tx, list(tags))):
            tags[number][key] = value
    return [_experiment(row, tags[row[0]]) for row in rows]


def _experiment(row: tuple[Any, ...], tags: dict[str, str]) -> Experiment:
    number, name, artifact_location, state, created_us, updated_us = row
    return Experiment(str(number), name, artifact_location, state, created_us, updated_us, tags)
