"""Turns the filters and orderings of a search for logged models into SQL with bound values."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.tracking.logged_models.model import DatasetScope, ModelOrdering
from trimtab.domains.tracking.sorting import Term
from trimtab.infra.db import Where, comparison
from trimtab.infra.db.port import Dialect
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import (
    ORDERINGS,
    TEXTUAL,
    BadFilter,
    Clause,
    Operator,
    parse_filter,
    split_identifier,
)

_TEXT = {
    "name": "l.name",
    "model_id": "l.id",
    "model_type": "coalesce(l.model_type, '')",
    "source_run_id": "coalesce(l.source_run_id, '')",
    "status": "l.status",
    "artifact_location": "l.artifact_uri",
    "lifecycle_stage": "l.state",
}
_TIMES = {
    "creation_timestamp": "(l.created_us / 1000)",
    "creation_timestamp_ms": "(l.created_us / 1000)",
    "creation_time": "(l.created_us / 1000)",
    "last_updated_timestamp": "(l.updated_us / 1000)",
    "last_updated_timestamp_ms": "(l.updated_us / 1000)",
}
_EXPERIMENT = "cast(l.experiment_no as text)"
_STATUS_NUMBERS: dict[Any, str] = {"1": "PENDING", "2": "READY", "3": "FAILED"}  # as clients number them
_KEYS = sorted([*_TEXT, *_TIMES, "experiment_id"])
_TABLES = {"params": "tracking_logged_model_param", "tags": "tracking_logged_model_tag"}
_METRIC = "from tracking_logged_model_metric m where m.model_id = l.id"
_TEXT_OPERATORS: tuple[Operator, ...] = (*TEXTUAL, "IN", "NOT IN")


class Plan(msgspec.Struct):
    """The parts of the statement that a search runs."""

    where: Where
    terms: list[Term]
    params: dict[str, Any]


def plan(
    *,
    experiments: Sequence[int],
    filter_text: str,
    datasets: Sequence[DatasetScope],
    order_by: Sequence[ModelOrdering],
    dialect: Dialect,
) -> Plan:
    """Return the statement's parts for active models; raises BadFilter."""
    where = Where().any_of("l.state", ["active"]).any_of("l.experiment_no", sorted(set(experiments)))
    scope, scope_params = _scope(datasets)
    where.params.update(scope_params)
    clauses = parse_filter(filter_text)
    for index, clause in enumerate(clauses):
        condition, params = _condition(clause, f"f{index}", scope, dialect)
        where.add(condition, **params)
    if scope and not any(clause.entity == "metrics" for clause in clauses):
        where.add(f"exists (select 1 {_METRIC} and {scope})")
    result = Plan(where, [], {})
    _order(result, order_by)
    return result


def _scope(datasets: Sequence[DatasetScope]) -> tuple[str, dict[str, Any]]:
    alternatives: list[str] = []
    params: dict[str, Any] = {}
    for index, dataset in enumerate(datasets):
        alternative = f"m.dataset_name = :d{index}_name"
        params[f"d{index}_name"] = dataset.name
        if dataset.digest is not None:
            alternative += f" and m.dataset_digest = :d{index}_digest"
            params[f"d{index}_digest"] = dataset.digest
        alternatives.append(f"({alternative})")
    return f"({' or '.join(alternatives)})" if alternatives else "", params


def _condition(clause: Clause, name: str, scope: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    match clause.entity:
        case None | "attributes":
            return _attribute(clause, name, dialect)
        case "metrics":
            value = _number(clause)
            within = f" and {scope}" if scope else ""
            condition = f"m.key = :{name}_key and m.value {clause.operator} :{name}{within}"
            return f"exists (select 1 {_METRIC} and {condition})", {f"{name}_key": clause.key, name: value}
        case "params" | "tags":
            condition, params = _text("x.value", clause, name, dialect)
            table = _TABLES[clause.entity]
            return (
                f"exists (select 1 from {table} x where x.model_id = l.id and x.key = :{name}_key and {condition})",
                {f"{name}_key": clause.key, **params},
            )
        case _:
            raise clause.refuse(
                f"Invalid entity type: {clause.entity!r}. Expected one of ['attributes', 'metrics', 'params', 'tags']."
            )


def _attribute(clause: Clause, name: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    if column := _TIMES.get(clause.key):
        return f"{column} {clause.operator} :{name}", {name: _number(clause)}
    if clause.key == "experiment_id":
        return _text(_EXPERIMENT, clause, name, dialect)
    if clause.key == "status" and str(clause.value) in _STATUS_NUMBERS:
        clause = msgspec.structs.replace(clause, value=_STATUS_NUMBERS[str(clause.value)])
    if column := _TEXT.get(clause.key):
        return _text(column, clause, name, dialect)
    raise clause.refuse(
        f"Invalid attribute key '{clause.key}'. Valid keys are {_KEYS}.{did_you_mean(clause.key, _KEYS)}"
    )


def _number(clause: Clause) -> float:
    if clause.operator not in ORDERINGS:
        raise clause.refuse(f"Invalid comparison operator {clause.operator!r}. Expected one of {ORDERINGS}.")
    try:
        return float(clause.value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise clause.refuse(f"Expected a number, found {clause.value!r}.") from None


def _text(column: str, clause: Clause, name: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    if clause.operator not in _TEXT_OPERATORS:
        raise clause.refuse(
            f"Invalid comparison operator {clause.operator!r}. Expected one of {_TEXT_OPERATORS}."
        )
    value = clause.value if isinstance(clause.value, str | tuple) else str(clause.value)
    return comparison(column, clause.operator, value, name=name, dialect=dialect)


def _order(result: Plan, order_by: Sequence[ModelOrdering]) -> None:
    """Add the sort terms: what was asked for, missing values last, then newest first, then by id."""
    columns: set[str] = set()
    for index, ordering in enumerate(order_by):
        entity, key = split_identifier(ordering.field) if ordering.field else (None, "")
        if entity == "metrics":
            value = _metric_value(result, ordering, key, f"o{index}")
            result.terms.append(Term(f"(case when {value} is null then 1 else 0 end)", int))
            result.terms.append(Term(f"coalesce({value}, 0.0)", float, ordering.ascending))
            continue
        if entity is not None:
            raise BadFilter(
                f"Invalid order by field name: {ordering.field}. Only metrics are supported.",
                field="order_by",
            )
        column = _TEXT.get(key) or _TIMES.get(key) or {"experiment_id": "l.experiment_no"}.get(key)
        if column is None:
            raise BadFilter(
                f"Invalid order by field name: {key}.{did_you_mean(key, _KEYS)}", field="order_by"
            )
        columns.add(column)
        result.terms.append(Term(column, str if key in _TEXT else int, ordering.ascending))
    if _TIMES["creation_time"] not in columns:
        result.terms.append(Term(_TIMES["creation_time"], int, ascending=False))
    if "l.id" not in columns:
        result.terms.append(Term("l.id", str))


def _metric_value(result: Plan, ordering: ModelOrdering, key: str, name: str) -> str:
    result.params[f"{name}_key"] = key
    condition = f"m.key = :{name}_key"
    if ordering.dataset_name:
        result.params[f"{name}_dataset"] = ordering.dataset_name
        condition += f" and m.dataset_name = :{name}_dataset"
    if ordering.dataset_digest:
        result.params[f"{name}_digest"] = ordering.dataset_digest
        condition += f" and m.dataset_digest = :{name}_digest"
    return f"(select m.value {_METRIC} and {condition} order by m.at_us desc, m.step desc, m.run_id, m.value limit 1)"
