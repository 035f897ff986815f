"""The tables of logged models."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.domains.tracking.errors import LoggedModelNotFound
from trimtab.domains.tracking.experiments.model import State
from trimtab.domains.tracking.keys import listed
from trimtab.domains.tracking.logged_models.model import LoggedModel, ModelMetric, Status
from trimtab.domains.tracking.metrics.model import Point, decode, encode
from trimtab.domains.tracking.sorting import Term, order_sql
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")
_COLUMNS = 10


def insert(tx: Tx, **columns: Any) -> None:
    tx.run(Q.insert_model, **columns)


def get(tx: Tx, *, model_id: str) -> LoggedModel | None:
    return next(iter(_complete(tx, tx.all(Q.model, id=model_id))), None)


def page(
    tx: Tx, *, where: Where, terms: Sequence[Term], params: Mapping[str, Any], limit: int
) -> list[tuple[LoggedModel, tuple[Any, ...]]]:
    """Return logged models with their sort values."""
    columns = "".join(f", {term.sql}" for term in terms)
    query = Q.models.with_(columns=columns, where=where.sql, order=order_sql(terms))
    rows = tx.all(query, limit=limit, **where.params, **params)
    models = _complete(tx, [row[:_COLUMNS] for row in rows])
    return [(model, row[_COLUMNS:]) for model, row in zip(models, rows, strict=True)]


def set_status(tx: Tx, *, model_id: str, status: Status, now_us: int) -> None:
    tx.run(Q.set_status, id=model_id, status=status, now_us=now_us)


def set_state(tx: Tx, *, model_id: str, state: State, now_us: int) -> None:
    deleted_us = now_us if state == "deleted" else None
    tx.run(Q.set_state, id=model_id, state=state, now_us=now_us, deleted_us=deleted_us)


def put_tags(tx: Tx, *, model_id: str, tags: Mapping[str, str]) -> None:
    tx.many(Q.put_tag, [{"model_id": model_id, "key": key, "value": tags[key]} for key in sorted(tags)])


def delete_tag(tx: Tx, *, model_id: str, key: str) -> bool:
    return tx.run(Q.delete_tag, model_id=model_id, key=key) == 1


def add_params(tx: Tx, *, model_id: str, params: Mapping[str, str]) -> dict[str, str]:
    """Add the parameters that are not there yet and return all as they stand now."""
    rows = [{"model_id": model_id, "key": key, "value": params[key]} for key in sorted(params)]
    tx.many(Q.insert_param, rows)
    return {key: value for _, key, value in tx.all(Q.params, models=listed(tx, [model_id]))}


def append_metrics(tx: Tx, *, run_id: str, points: Sequence[Point]) -> None:
    """Add points to the logged models that they name; raises LoggedModelNotFound."""
    wanted = sorted({point.model_id for point in points if point.model_id})
    if not wanted:
        return
    known = {row[0] for row in tx.all(Q.known, models=listed(tx, wanted))}
    for model_id in wanted:
        if model_id not in known:
            raise LoggedModelNotFound(f"Logged model with ID '{model_id[:100]}' not found.")
    rows: list[dict[str, Any]] = []
    for point in points:
        value, kind = encode(point.value)
        rows.append(
            {
                "model_id": point.model_id,
                "key": point.key,
                "at_us": point.at_us,
                "step": point.step,
                "run_id": run_id,
                "dataset_name": point.dataset_name or "",
                "dataset_digest": point.dataset_digest or "",
                "value": value,
                "kind": int(kind),
            }
        )
    tx.many(Q.append_metric, rows)


def of_experiment(tx: Tx, *, experiment_no: int, limit: int) -> list[tuple[str, str]]:
    """Return (id, place of its files) of logged models of an experiment, deleted or not."""
    return [(row[0], row[1]) for row in tx.all(Q.of_experiment, experiment_no=experiment_no, limit=limit)]


def places(tx: Tx, model_ids: Sequence[str]) -> dict[str, tuple[int, str | None, str]]:
    """Return (number of the experiment, source run, place of its files) of each logged model that there is."""
    rows = tx.all(Q.places, models=listed(tx, model_ids))
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def count_of_experiment(tx: Tx, *, experiment_no: int) -> int:
    """Return how many an experiment has, deleted or not."""
    row = tx.one(Q.count_of_experiment, experiment_no=experiment_no)
    return row[0] if row else 0


def purge(tx: Tx, model_ids: Sequence[str]) -> None:
    """Remove logged models for good."""
    wanted = listed(tx, model_ids)
    for query in (Q.purge_params, Q.purge_tags, Q.purge_metrics, Q.purge_models):
        tx.run(query, models=wanted)


def _complete(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[LoggedModel]:
    if not rows:
        return []
    ids = [row[0] for row in rows]
    wanted = listed(tx, ids)
    tags: dict[str, dict[str, str]] = {model_id: {} for model_id in ids}
    params: dict[str, dict[str, str]] = {model_id: {} for model_id in ids}
    metrics: dict[str, list[ModelMetric]] = {model_id: [] for model_id in ids}
    for model_id, key, value in tx.all(Q.tags, models=wanted):
        tags[model_id][key] = value
    for model_id, key, value in tx.all(Q.params, models=wanted):
        params[model_id][key] = value
    for model_id, key, value, kind, *rest in tx.all(Q.metrics, models=wanted):
        metrics[model_id].append(ModelMetric(key, decode(value, kind), *rest))
    models: list[LoggedModel] = []
    for row in rows:
        columns: tuple[Any, ...] = (
            row[0],
            str(row[1]),
            *row[2:],
            tags[row[0]],
            params[row[0]],
            metrics[row[0]],
        )
        models.append(LoggedModel(*columns))
    return models
