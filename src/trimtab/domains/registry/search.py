"""What searches over models and versions may ask for, in MLflow's grammar, and their keyset order."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.registry.model import PROMPT_TAG
from trimtab.infra.db import Where
from trimtab.infra.db.port import Dialect
from trimtab.infra.db.where import comparison
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.filters import ORDERINGS, TEXTUAL, Clause, parse_filter, parse_ordering
from trimtab.kernel.pages import decode_cursor, encode_cursor

_TAG_ENTITIES = ("tag", "tags")


class Searchable(msgspec.Struct, frozen=True):
    """One listing: which columns a filter may compare and which ones order it.

    ``text`` takes LIKE, ``listed`` IN as well, ``numbers`` the orderings; ``tags`` is a subquery that a tag's
    conditions complete.
    """

    text: Mapping[str, str]
    numbers: Mapping[str, str]
    listed: frozenset[str]
    orders: Mapping[str, str]
    defaults: tuple[tuple[str, bool], ...]
    ties: tuple[tuple[str, bool], ...]
    tags: str
    prompts: str


MODELS = Searchable(
    text={"name": "m.name"},
    numbers={},
    listed=frozenset({"name"}),
    orders={
        "name": "m.name",
        "timestamp": "m.updated_us",
        "last_updated_timestamp": "m.updated_us",
        "creation_timestamp": "m.created_us",
    },
    defaults=(("m.name", True),),
    ties=(("m.name", True),),
    tags="select 1 from registry_model_tag t where t.model = m.name",
    prompts="select 1 from registry_model_tag t where t.model = m.name"
    " and t.key = 'mlflow.prompt.is_prompt' and t.value = 'true'",
)
VERSIONS = Searchable(
    text={"name": "v.model", "run_id": "v.run_id", "source_path": "v.source"},
    numbers={"version_number": "v.version"},
    listed=frozenset({"name", "run_id"}),
    orders={
        "name": "v.model",
        "version_number": "v.version",
        "creation_timestamp": "v.created_us",
        "last_updated_timestamp": "v.updated_us",
    },
    defaults=(("v.updated_us", False), ("v.model", True), ("v.version", False)),
    ties=(("v.model", True), ("v.version", False)),
    tags="select 1 from registry_version_tag t where t.model = v.model and t.version = v.version",
    prompts="select 1 from registry_version_tag t where t.model = v.model and t.version = v.version"
    " and t.key = 'mlflow.prompt.is_prompt' and t.value = 'true'",
)
_FIELDS = {
    "m.name": "name",
    "m.updated_us": "updated_us",
    "m.created_us": "created_us",
    "v.model": "name",
    "v.version": "version",
    "v.created_us": "created_us",
    "v.updated_us": "updated_us",
}


def add_filter(where: Where, text: str, on: Searchable, *, dialect: Dialect) -> None:
    """Narrow a listing by a filter such as ``name LIKE 'fl%' and tags.team = 'risk'``; raises BadFilter.

    MLflow's prompts are left out unless the filter asks for them.
    """
    prompts = False
    tags: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for number, clause in enumerate(parse_filter(text)):
        name = f"f{number}"
        if clause.entity in _TAG_ENTITIES:
            if clause.key == PROMPT_TAG:
                prompts = _asks_for_prompts(clause)
            _text_only(clause)
            if clause.key != PROMPT_TAG or prompts:
                condition = comparison("t.value", clause.operator, clause.value, name=name, dialect=dialect)
                tags.setdefault(clause.key, []).append(condition)
        elif clause.entity == "attribute" or (clause.entity is None and text[clause.position] not in '`"'):
            condition, params = _attribute(clause, on, name=name, dialect=dialect)
            where.add(condition, **params)
        elif clause.entity is None:
            raise clause.refuse(f"Invalid attribute key: {clause.key!r} stands in quotes")
        else:
            raise clause.refuse(f"Invalid entity type {clause.entity!r}: attribute or tags")
    for number, (key, conditions) in enumerate(tags.items()):
        both = " and ".join(condition for condition, _ in conditions)
        params = {name: value for _, given in conditions for name, value in given.items()}
        where.add(f"exists ({on.tags} and t.key = :k{number} and {both})", **{f"k{number}": key}, **params)
    if not prompts:
        where.add(f"not exists ({on.prompts})")


def _attribute(clause: Clause, on: Searchable, *, name: str, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    if clause.key in on.numbers:
        if clause.operator not in ORDERINGS:
            raise clause.refuse(f"Invalid comparator for attribute {clause.key}: {clause.operator}")
        value = clause.value
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or abs(value) >= 2**63:
            raise clause.refuse(f"Invalid value for numeric attribute {clause.key!r}: {clause.value!r}")
        return comparison(on.numbers[clause.key], clause.operator, value, name=name, dialect=dialect)
    if clause.key not in on.text:
        known = [*on.text, *on.numbers]
        raise clause.refuse(
            f"Invalid attribute key {clause.key!r} ({', '.join(known)}).{did_you_mean(clause.key, known)}"
        )
    if clause.operator in ("IN", "NOT IN"):
        if clause.key not in on.listed:
            raise clause.refuse(f"The attribute {clause.key!r} does not support {clause.operator}")
    else:
        _text_only(clause)
    column = on.text[clause.key]
    if column == "v.run_id" and (
        clause.operator not in ("=", "IN") or "" in (clause.value, *_listed(clause))
    ):
        column = "coalesce(v.run_id, '')"  # a version without a run counts as one with an empty id
    return comparison(column, clause.operator, clause.value, name=name, dialect=dialect)


def _listed(clause: Clause) -> tuple[str, ...]:
    return clause.value if isinstance(clause.value, tuple) else ()


def _text_only(clause: Clause) -> None:
    if clause.operator not in TEXTUAL:
        raise clause.refuse(f"Invalid comparator for {clause.key}: {clause.operator}")
    if not isinstance(clause.value, str):
        raise clause.refuse(f"Expected a quoted string value for {clause.key}")


def _asks_for_prompts(clause: Clause) -> bool:
    value = str(clause.value).lower()
    return (clause.operator == "=" and value == "true") or (clause.operator == "!=" and value == "false")


def ordering(order_by: Sequence[str], on: Searchable) -> list[tuple[str, bool]]:
    """Return (column, ascending) pairs that no two rows share; raises Invalid for unknown or repeated keys."""
    if not order_by:
        return list(on.defaults)
    columns: dict[str, bool] = {}
    for text in order_by:
        asked = parse_ordering(text)
        column = on.orders.get(asked.key) if asked.entity in (None, "attribute", "attributes") else None
        if column is None:
            raise Invalid(
                f"Invalid order by key {asked.key!r} specified. Valid keys are {', '.join(on.orders)}."
                f"{did_you_mean(asked.key, on.orders)}",
                field="order_by",
            )
        if column in columns:
            raise Invalid(f"order_by names {asked.key!r} twice.", field="order_by")
        columns[column] = asked.ascending
    return [*columns.items(), *[(column, up) for column, up in on.ties if column not in columns]]


def order_sql(order: Sequence[tuple[str, bool]]) -> str:
    return "order by " + ", ".join(f"{column} {'asc' if up else 'desc'}" for column, up in order)


def add_cursor(where: Where, order: Sequence[tuple[str, bool]], cursor: str) -> None:
    """Narrow a listing to what follows the row of the cursor; raises Invalid for another listing's cursor."""
    mark, *values = decode_cursor(cursor, len(order) + 1)
    if mark != order_sql(order):
        raise Invalid("The cursor belongs to another listing.", field="cursor")
    alternatives: list[str] = []
    params: dict[str, Any] = {}
    for index, ((column, up), value) in enumerate(zip(order, values, strict=True)):
        if not isinstance(value, str if column in ("m.name", "v.model") else int):
            raise Invalid("The cursor belongs to another listing.", field="cursor")
        params[f"c{index}"] = value
        equal = [f"{before} = :c{place}" for place, (before, _) in enumerate(order[:index])]
        alternatives.append(" and ".join([*equal, f"{column} {'>' if up else '<'} :c{index}"]))
    where.add(" or ".join(f"({one})" for one in alternatives), **params)


def cursor_after(item: msgspec.Struct, order: Sequence[tuple[str, bool]]) -> str:
    """Return the cursor of what follows an item."""
    return encode_cursor((order_sql(order), *[getattr(item, _FIELDS[column]) for column, _ in order]))
