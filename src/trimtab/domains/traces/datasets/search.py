"""Turns the filters and orderings of a search for evaluation data sets into SQL with bound values."""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.traces.listing import Term
from trimtab.infra.db import Where, comparison
from trimtab.infra.db.port import Dialect
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import ORDERINGS, TEXTUAL, BadFilter, Clause, parse_filter, parse_ordering

_TEXTS = {"name": "d.name", "created_by": "d.created_by", "last_updated_by": "d.updated_by"}
_NUMBERS = {"created_time": "(d.created_us / 1000)", "last_update_time": "(d.updated_us / 1000)"}
_ORDERS = {
    "name": ("d.name", str),
    "created_time": ("d.created_us", int),
    "last_update_time": ("d.updated_us", int),
}
_SEARCHED = sorted([*_TEXTS, *_NUMBERS])


def where_of(filter_text: str, *, experiment_ids: Sequence[str], dialect: Dialect) -> Where:
    """Return the conditions of a search; raises BadFilter."""
    where = Where().add("d.deleted_us is null")
    if experiment_ids:
        names = {f"e{index}": one for index, one in enumerate(dict.fromkeys(experiment_ids))}
        listed = ", ".join(f":{name}" for name in names)
        where.add(
            "exists (select 1 from traces_dataset_experiment x where x.dataset_id = d.id"
            f" and x.experiment_id in ({listed}))",
            **names,
        )
    for index, clause in enumerate(parse_filter(filter_text)):
        condition, params = _condition(clause, f"f{index}", dialect)
        where.add(condition, **params)
    return where


def _condition(clause: Clause, name: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    if clause.entity == "tags":
        if clause.operator not in TEXTUAL or not isinstance(clause.value, str):
            raise clause.refuse(
                f"Invalid comparator for tag: {clause.operator}, or its value is no quoted text."
            )
        condition, params = comparison("x.value", clause.operator, clause.value, name=name, dialect=dialect)
        found = f"select 1 from traces_dataset_tag x where x.dataset_id = d.id and x.key = :{name}_key"
        return f"exists ({found} and {condition})", {f"{name}_key": clause.key, **params}
    if clause.entity is not None:
        raise clause.refuse(f"Invalid identifier token '{clause.entity}' specified")
    if column := _NUMBERS.get(clause.key):
        if clause.operator not in ORDERINGS or not isinstance(clause.value, int):
            raise clause.refuse(f"Invalid comparator or value for numeric attribute '{clause.key}'.")
        return f"{column} {clause.operator} :{name}", {name: float(clause.value)}
    if column := _TEXTS.get(clause.key):
        listed = clause.key == "name" and clause.operator == "IN"
        if not listed and (clause.operator not in TEXTUAL or not isinstance(clause.value, str)):
            raise clause.refuse(f"Invalid comparator for string attribute: {clause.operator}")
        return comparison(column, clause.operator, clause.value, name=name, dialect=dialect)
    raise clause.refuse(
        f"Invalid attribute key '{clause.key}' specified. Valid keys are: {_SEARCHED}"
        f"{did_you_mean(clause.key, _SEARCHED)}"
    )


def terms_of(order_by: Sequence[str]) -> list[Term]:
    """Return the sort terms: what was asked for, or newest first, then by id downwards; raises BadFilter."""
    terms: list[Term] = []
    for text in order_by or ["created_time DESC"]:
        ordering = parse_ordering(text)
        if ordering.entity is not None or ordering.key not in _ORDERS:
            raise BadFilter(
                f"Invalid attribute key '{ordering.key}' specified. Valid keys are: {sorted(_ORDERS)}"
                f"{did_you_mean(ordering.key, _ORDERS)}",
                field="order_by",
            )
        sql, kind = _ORDERS[ordering.key]
        terms.append(Term(sql, kind, ordering.ascending))
    terms.append(Term("d.id", str, ascending=False))
    return terms
