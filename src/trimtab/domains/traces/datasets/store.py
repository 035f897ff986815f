"""The tables of evaluation data sets."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.datasets.model import EvaluationDataset, Record
from trimtab.domains.traces.listing import Term, columns_sql, listed, order_sql
from trimtab.infra.db import Tx, Where, load
from trimtab.infra.db.port import Row

Q = load(__package__ or "")
_COLUMNS = 9
_JSON = ("inputs", "outputs", "expectations", "tags", "source")


def insert(tx: Tx, *, dataset_id: str, name: str, digest: str, now_us: int, user_id: str | None) -> None:
    tx.run(Q.insert_dataset, id=dataset_id, name=name, digest=digest, now_us=now_us, user_id=user_id)


def get(tx: Tx, *, dataset_id: str) -> EvaluationDataset | None:
    return next(iter(_complete(tx, tx.all(Q.dataset, id=dataset_id))), None)


def page(tx: Tx, *, where: Where, terms: Sequence[Term], limit: int) -> list[tuple[EvaluationDataset, Row]]:
    """Return data sets with their sort values."""
    query = Q.datasets.with_(columns=columns_sql(terms), where=where.sql, order=order_sql(terms))
    rows = tx.all(query, limit=limit, **where.params)
    found = _complete(tx, [row[:_COLUMNS] for row in rows])
    return [(dataset, row[_COLUMNS:]) for dataset, row in zip(found, rows, strict=True)]


def update(tx: Tx, dataset: EvaluationDataset) -> None:
    tx.run(
        Q.update_dataset,
        id=dataset.id,
        schema=dataset.schema,
        profile=dataset.profile,
        digest=dataset.digest,
        updated_us=dataset.updated_us,
        updated_by=dataset.updated_by,
    )


def set_deleted(tx: Tx, *, dataset_id: str, deleted_us: int | None) -> bool:
    return tx.run(Q.set_deleted, id=dataset_id, deleted_us=deleted_us) == 1


def put_tags(tx: Tx, *, dataset_id: str, tags: Mapping[str, str]) -> None:
    tx.many(Q.put_tag, [{"dataset_id": dataset_id, "key": key, "value": tags[key]} for key in sorted(tags)])


def delete_tag(tx: Tx, *, dataset_id: str, key: str) -> None:
    tx.run(Q.delete_tag, dataset_id=dataset_id, key=key)


def add_experiments(tx: Tx, *, dataset_id: str, experiment_ids: Sequence[str], now_us: int) -> None:
    rows = [
        {"dataset_id": dataset_id, "experiment_id": one, "now_us": now_us}
        for one in dict.fromkeys(experiment_ids)
    ]
    tx.many(Q.add_experiment, rows)


def remove_experiments(tx: Tx, *, dataset_id: str, experiment_ids: Sequence[str]) -> int:
    """Take a data set from experiments and return from how many."""
    return sum(
        tx.run(Q.remove_experiment, dataset_id=dataset_id, experiment_id=one)
        for one in dict.fromkeys(experiment_ids)
    )


def records(tx: Tx, *, where: Where, limit: int) -> list[Record]:
    return [_record(row) for row in tx.all(Q.records.with_(where=where.sql), limit=limit, **where.params)]


def records_by_hash(tx: Tx, *, dataset_id: str, hashes: Sequence[str]) -> dict[str, Record]:
    rows = tx.all(Q.records_by_hash, dataset_id=dataset_id, hashes=listed(tx, hashes))
    return {row[0]: _record(row[1:]) for row in rows}


def put_records(tx: Tx, by_hash: Mapping[str, Record]) -> None:
    rows: list[dict[str, Any]] = []
    for input_hash in sorted(by_hash):
        row = msgspec.structs.asdict(by_hash[input_hash]) | {"input_hash": input_hash}
        rows.append(row | {key: None if row[key] is None else json.dumps(row[key]) for key in _JSON})
    tx.many(Q.put_record, rows)


def delete_records(tx: Tx, *, dataset_id: str, records: Sequence[str]) -> int:
    return tx.run(Q.delete_records, dataset_id=dataset_id, records=listed(tx, records))


def count_records(tx: Tx, *, dataset_id: str) -> int:
    row = tx.one(Q.count_records, dataset_id=dataset_id)
    assert row is not None
    return row[0]


def purge(tx: Tx, *, before_us: int, limit: int) -> list[str]:
    """End the data sets that went to the trash before a time, with their records, and return their ids."""
    found = [row[0] for row in tx.all(Q.purgeable, before_us=before_us, limit=limit)]
    for query in (Q.purge_tags, Q.purge_experiments, Q.purge_records, Q.purge_datasets):
        tx.run(query, datasets=listed(tx, found))
    return found


def _complete(tx: Tx, rows: Sequence[Row]) -> list[EvaluationDataset]:
    if not rows:
        return []
    wanted = listed(tx, [row[0] for row in rows])
    tags: dict[str, dict[str, str]] = {row[0]: {} for row in rows}
    experiments: dict[str, list[str]] = {row[0]: [] for row in rows}
    for dataset_id, key, value in tx.all(Q.tags, datasets=wanted):
        tags[dataset_id][key] = value
    for dataset_id, experiment_id in tx.all(Q.experiments, datasets=wanted):
        experiments[dataset_id].append(experiment_id)
    return [EvaluationDataset(*row, tags=tags[row[0]], experiment_ids=experiments[row[0]]) for row in rows]


def _record(row: Row) -> Record:
    values: list[Any] = list(row)
    for place in range(2, 7):
        values[place] = None if row[place] is None else json.loads(row[place])
    values[5] = values[5] or {}
    return Record(*values)
