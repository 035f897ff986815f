"""Turns the filters and orderings of a run search into SQL with bound values, and says which indexes could serve it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.tracking.experiments.model import View, states
from trimtab.domains.tracking.keys import listed_as
from trimtab.domains.tracking.sorting import Term
from trimtab.infra.db import Tx, Where, comparison
from trimtab.infra.db.port import Dialect
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.filters import (
    ORDERINGS,
    TEXTUAL,
    BadFilter,
    Clause,
    Operator,
    parse_filter,
    parse_ordering,
)

Entity = Literal["metric", "parameter", "tag", "attribute", "dataset"]
_ENTITIES: dict[str, Entity] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "parameter"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
}
_TEXT = {
    "artifact_uri": "r.artifact_uri",
    "run_id": "r.id",
    "run_name": "r.name",
    "status": "r.status",
    "user_id": "r.owner",
}
_TIMES = {"end_time": "r.ended_us", "start_time": "r.started_us"}
COLUMNS = sorted([*_TEXT, *_TIMES])
ATTRIBUTES = sorted([*COLUMNS, *_ALIASES])
_DATASET = {"name": "d.name", "digest": "d.digest", "context": "i.context"}
METRICS = "tracking_metric_latest"
_TABLES = {"parameter": "tracking_run_param", "tag": "tracking_run_tag"}
_MEMBERSHIP: tuple[Operator, ...] = ("IN", "NOT IN")
_PRESENCE: tuple[Operator, ...] = ("IS NULL", "IS NOT NULL")
_FEW = 500
PREFIX = 40
"""So many characters of a text are in its index."""

FindKey = Callable[[str], int]


class Lead(msgspec.Struct, frozen=True):
    """What a search is ordered by first, where an index holds that order within an experiment.

    Of ``table`` (None: the runs themselves, by their start) under ``alias``; rows without a value follow all others.
    """

    table: str | None
    alias: str
    ascending: bool
    value: Term
    required: bool = False  # a condition leaves only rows that have a value

    @property
    def is_metric(self) -> bool:
        return self.table == METRICS


class Source(msgspec.Struct, frozen=True):
    """A condition as the rows of one index: of ``table`` under the alias ``x``."""

    table: str
    condition: str
    params: dict[str, Any]


class Plan(msgspec.Struct):
    """The parts of the statement that a search runs."""

    where: Where
    terms: list[Term]
    joins: dict[str, str]
    join_params: dict[str, Any]
    sources: list[Source]
    lead: Lead | None = None


def plan(
    tx: Tx,
    *,
    filter_text: str,
    order_by: Sequence[str],
    view: View,
    find_key: FindKey,
) -> Plan:
    """Return the statement's parts, without the experiments. Raises BadFilter."""
    result = Plan(Where().any_of("r.state", list(states(view))), [], {}, {}, [])
    required: set[tuple[Entity, str]] = set()
    for index, clause in enumerate(parse_filter(filter_text)):
        condition, params = _condition(clause, f"f{index}", tx, find_key)
        result.where.add(condition, **params)
        entity = _entity(clause.entity)
        if source := _source(entity, clause, params, f"f{index}"):
            result.sources.append(source)
        may_be_missing = clause.operator == "IS NULL" or (entity == "metric" and clause.operator == "!=")
        if entity in ("metric", "parameter", "tag") and not may_be_missing:
            required.add((entity, clause.key))
    _order(result, order_by, find_key, required)
    return result


def within(experiments: Sequence[int], column: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Return the condition that a column is one of some experiments."""
    if len(experiments) == 1:
        return f"{column} = :e", {"e": experiments[0]}
    if len(experiments) > _FEW:
        many = "= any(:e)" if dialect == "postgresql" else "in (select value from json_each(:e))"
        return f"{column} {many}", {"e": listed_as(dialect, experiments)}
    names = {f"e{index}": number for index, number in enumerate(experiments)}
    return f"{column} in ({', '.join(':' + name for name in names)})", dict(names)


def _source(entity: Entity | None, clause: Clause, params: dict[str, Any], name: str) -> Source | None:
    """Return the index rows that fulfil a clause, where there is an index for it."""
    key = f"x.key_no = :{name}_key"
    if entity == "metric" and clause.operator in ("=", "<", "<=", ">", ">="):
        return Source(METRICS, f"{key} and x.nan = 0 and x.value {clause.operator} :{name}", params)
    if entity in ("parameter", "tag") and clause.operator == "=":
        same = f"substr(x.value, 1, {PREFIX}) = substr(:{name}, 1, {PREFIX})"
        if isinstance(clause.value, str) and len(clause.value) >= PREFIX:
            same += f" and x.value = :{name}"
        return Source(_TABLES[entity], f"{key} and {same}", params)
    return None


def _condition(clause: Clause, name: str, tx: Tx, find_key: FindKey) -> tuple[str, dict[str, Any]]:
    entity = _entity(clause.entity)
    if entity is None:
        valid = "['metric', 'parameter', 'tag', 'attribute', 'dataset']"
        raise clause.refuse(f"Invalid entity type '{clause.entity}'. Valid values are {valid}")
    match entity:
        case "metric":
            return _metric(clause, name, find_key)
        case "parameter" | "tag":
            return _text_row(clause, entity, name, tx, find_key)
        case "dataset":
            return _dataset(clause, name, tx)
        case "attribute":
            return _attribute(clause, name, tx)


def _entity(written: str | None) -> Entity | None:
    return "attribute" if written is None else _ENTITIES.get(written)


def _metric(clause: Clause, name: str, find_key: FindKey) -> tuple[str, dict[str, Any]]:
    if clause.operator not in ORDERINGS:
        raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of {list(ORDERINGS)}")
    if not isinstance(clause.value, int | float):
        raise clause.refuse(f"Expected numeric value type for metric. Found {clause.value!r}")
    # NaN is unequal to everything and neither less nor greater than anything.
    nan = "or m.nan = 1" if clause.operator == "!=" else "and m.nan = 0"
    exists = (
        f"exists (select 1 from tracking_metric_latest m where m.run_no = r.no and m.key_no = :{name}_key"
        f" and (m.value {clause.operator} :{name} {nan}))"
    )
    return exists, {f"{name}_key": find_key(clause.key), name: float(clause.value)}


def _text_row(
    clause: Clause, entity: Literal["parameter", "tag"], name: str, tx: Tx, find_key: FindKey
) -> tuple[str, dict[str, Any]]:
    exists = f"select 1 from {_TABLES[entity]} x where x.run_no = r.no and x.key_no = :{name}_key"
    params: dict[str, Any] = {f"{name}_key": find_key(clause.key)}
    if clause.operator in _PRESENCE:
        return f"{'not ' if clause.operator == 'IS NULL' else ''}exists ({exists})", params
    if clause.operator not in TEXTUAL:
        raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of {[*TEXTUAL, *_PRESENCE]}")
    if not isinstance(clause.value, str):
        raise clause.refuse(
            f"Expected a quoted string value for {entity} (e.g. 'my-value'). Got value {clause.value!r}"
        )
    condition, bound = comparison("x.value", clause.operator, clause.value, name=name, dialect=tx.dialect)
    return f"exists ({exists} and {condition})", {**params, **bound}


def _dataset(clause: Clause, name: str, tx: Tx) -> tuple[str, dict[str, Any]]:
    column = _DATASET.get(clause.key)
    if column is None:
        raise clause.refuse(
            f"Invalid dataset key '{clause.key}' specified. Valid keys are {sorted(_DATASET)}."
        )
    _check_text(clause, lists=True)
    condition, params = comparison(column, clause.operator, clause.value, name=name, dialect=tx.dialect)
    return (
        "exists (select 1 from tracking_run_dataset i join tracking_dataset d on d.no = i.dataset_no"
        f" where i.run_no = r.no and {condition})"
    ), params


def _attribute(clause: Clause, name: str, tx: Tx) -> tuple[str, dict[str, Any]]:
    key = _ALIASES.get(clause.key, clause.key)
    if column := _TIMES.get(key):
        if clause.operator not in ORDERINGS:
            raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of {list(ORDERINGS)}")
        if not isinstance(clause.value, int | float):
            raise clause.refuse(
                f"Expected numeric value type for numeric attribute: {key}. Found {clause.value!r}"
            )
        return f"{column} {clause.operator} :{name}", {name: _micros(clause)}
    if column := _TEXT.get(key):
        _check_text(clause, lists=key == "run_id")
        return comparison(column, clause.operator, clause.value, name=name, dialect=tx.dialect)
    raise clause.refuse(
        f"Invalid attribute key '{clause.key}' specified. Valid keys are {ATTRIBUTES}."
        f"{did_you_mean(clause.key, ATTRIBUTES)}"
    )


def _micros(clause: Clause) -> int | float:
    assert isinstance(clause.value, int | float)
    value = clause.value * 1000
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise clause.refuse("The time is out of range.")
    return value


def _check_text(clause: Clause, *, lists: bool) -> None:
    if clause.operator in _MEMBERSHIP:
        if not lists:
            raise clause.refuse(
                "Only ['run_id'] attributes support comparison with a list of quoted string values."
            )
    elif clause.operator not in TEXTUAL:
        raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of {[*TEXTUAL, *_MEMBERSHIP]}")
    elif not isinstance(clause.value, str):
        raise clause.refuse(f"Expected a quoted string value for attributes. Got value {clause.value!r}")


def _order(
    result: Plan, order_by: Sequence[str], find_key: FindKey, required: set[tuple[Entity, str]]
) -> None:
    """Add the sort terms: what was asked for, missing values last, then newest first, then by id."""
    seen: set[tuple[str, str]] = set()
    for index, text in enumerate(order_by):
        ordering = parse_ordering(text)
        entity = _entity(ordering.entity)
        created = entity == "attribute" and ordering.key in ("created", "Created")
        key = "start_time" if created else ordering.key
        if entity is None or entity == "dataset":
            raise BadFilter(f"Invalid identifier type '{ordering.entity}'", field="order_by")
        if (entity, key) in seen:
            raise BadFilter(f"`order_by` contains duplicate fields: {list(order_by)}", field="order_by")
        seen.add((entity, key))
        if entity == "attribute":
            _order_by_attribute(result, key, ascending=ordering.ascending)
        else:
            result.join_params[f"o{index}_key"] = find_key(key)
            _order_by_row(result, entity, f"o{index}", ascending=ordering.ascending)
            if index == 0:
                value = Term("o0.value", float if entity == "metric" else str, ordering.ascending)
                table = _TABLES.get(entity, METRICS)
                result.lead = Lead(table, "o0", ordering.ascending, value, (entity, key) in required)
    if ("attribute", "start_time") not in seen:
        result.terms.append(Term("r.started_us", int, ascending=False))
    if ("attribute", "run_id") not in seen:
        result.terms.append(Term("r.id", str))
    if result.terms[0].sql == "r.started_us":
        result.lead = Lead(None, "r", result.terms[0].ascending, result.terms[0])


def _order_by_attribute(result: Plan, key: str, *, ascending: bool) -> None:
    if key == "end_time":
        result.terms.append(Term("(case when r.ended_us is null then 1 else 0 end)", int))
        result.terms.append(Term("coalesce(r.ended_us, 0)", int, ascending))
    elif key == "start_time":
        result.terms.append(Term("r.started_us", int, ascending))
    elif key in _TEXT:
        result.terms.append(Term(_TEXT[key], str, ascending))
    else:
        raise BadFilter(
            f"Invalid attribute key '{key}' specified. Valid keys are {ATTRIBUTES}."
            f"{did_you_mean(key, ATTRIBUTES)}",
            field="order_by",
        )


def _order_by_row(
    result: Plan, entity: Literal["metric", "parameter", "tag"], alias: str, *, ascending: bool
) -> None:
    table = _TABLES.get(entity, METRICS)
    result.joins[alias] = (
        f"left join {table} {alias} on {alias}.run_no = r.no and {alias}.key_no = :{alias}_key"
    )
    if entity == "metric":
        result.terms.append(Term(f"coalesce({alias}.nan, 2)", int))
        result.terms.append(Term(f"coalesce({alias}.value, 0.0)", float, ascending))
    else:
        result.terms.append(Term(f"(case when {alias}.value is null then 2 else 0 end)", int))
        result.terms.append(Term(f"coalesce({alias}.value, '')", str, ascending))


def check_experiments(numbers: Sequence[int]) -> None:
    """Raise Invalid for more experiments than one search takes."""
    if len(numbers) > 100_000:
        raise Invalid("A search takes at most 100000 experiments.", field="experiment_ids")
