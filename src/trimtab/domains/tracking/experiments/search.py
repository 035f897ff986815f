"""Turns the filters and orderings of an experiment search into SQL with bound values."""

from collections.abc import Sequence

from trimtab.domains.tracking.experiments.model import View, parse_id, states
from trimtab.domains.tracking.sorting import Term
from trimtab.infra.db import Where, comparison
from trimtab.infra.db.port import Dialect
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import ORDERINGS, TEXTUAL, BadFilter, Clause, parse_filter, parse_ordering

_TEXT = {"name": "e.name"}
_NUMBERS = {"creation_time": "e.created_us", "last_update_time": "e.updated_us"}
_KEYS = ("name", "experiment_id", "creation_time", "last_update_time")
DEFAULT_ORDER = ("creation_time DESC", "experiment_id ASC")


def where_of(text: str, *, view: View, dialect: Dialect) -> Where:
    """Return the conditions of a filter and a view; raises BadFilter."""
    where = Where().any_of("e.state", list(states(view)))
    for index, clause in enumerate(parse_filter(text)):
        _add(where, clause, f"f{index}", dialect)
    return where


def _add(where: Where, clause: Clause, name: str, dialect: Dialect) -> None:
    match clause.entity:
        case "tag" | "tags":
            _add_tag(where, clause, name, dialect)
        case None | "attribute":
            _add_attribute(where, clause, name, dialect)
        case _:
            raise clause.refuse(
                f"Invalid entity type '{clause.entity}'. Valid entity types are ('attribute', 'tag', 'tags')"
            )


def _add_tag(where: Where, clause: Clause, name: str, dialect: Dialect) -> None:
    exists = f"select 1 from tracking_experiment_tag t where t.experiment_no = e.no and t.key = :{name}_key"
    match clause.operator:
        case "IS NULL":
            where.add(f"not exists ({exists})", **{f"{name}_key": clause.key})
        case "IS NOT NULL":
            where.add(f"exists ({exists})", **{f"{name}_key": clause.key})
        case operator if operator in TEXTUAL and isinstance(clause.value, str):
            condition, params = comparison("t.value", operator, clause.value, name=name, dialect=dialect)
            where.add(f"exists ({exists} and {condition})", **{f"{name}_key": clause.key}, **params)
        case _:
            raise clause.refuse(
                f"Invalid comparator for tag: {clause.operator}, or its value is no quoted text."
            )


def _add_attribute(where: Where, clause: Clause, name: str, dialect: Dialect) -> None:
    key, operator, value = clause.key, clause.operator, clause.value
    if key == "experiment_id" and operator in ("=", "!=", "IN", "NOT IN"):
        numbers = [parse_id(str(one)) for one in (value if isinstance(value, tuple) else (value,))]
        bound = numbers if isinstance(value, tuple) else numbers[0]
        condition, params = comparison("e.no", operator, bound, name=name, dialect=dialect)
    elif key in _TEXT and operator in TEXTUAL and isinstance(value, str):
        condition, params = comparison(_TEXT[key], operator, value, name=name, dialect=dialect)
    elif key in _NUMBERS and operator in ORDERINGS and isinstance(value, int):
        condition, params = comparison(
            f"({_NUMBERS[key]} / 1000)", operator, value, name=name, dialect=dialect
        )
    elif key not in _KEYS:
        raise clause.refuse(
            f"Invalid attribute key '{key}' specified. Valid keys are {', '.join(_KEYS)}.{did_you_mean(key, _KEYS)}"
        )
    else:
        raise clause.refuse(f"Invalid comparator {operator} or value for attribute '{key}'.")
    where.add(condition, **params)


def terms_of(order_by: Sequence[str]) -> list[Term]:
    """Return what to sort by, with the number of the experiment as the last resort; raises BadFilter."""
    terms: list[Term] = []
    for text in order_by or DEFAULT_ORDER:
        ordering = parse_ordering(text)
        columns = {"experiment_id": "e.no", **_TEXT, **_NUMBERS}
        if ordering.entity not in (None, "attribute") or ordering.key not in columns:
            raise BadFilter(
                f"Invalid attribute key '{ordering.key}' specified. Valid keys are {', '.join(_KEYS)}.",
                field="order_by",
            )
        kind = str if ordering.key == "name" else int
        terms.append(Term(columns[ordering.key], kind, ordering.ascending))
    if not any(term.sql == "e.no" for term in terms):
        terms.append(Term("e.no", int, ascending=False))
    return terms
