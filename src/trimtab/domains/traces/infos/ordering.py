"""Turns the orderings of a search for traces into terms to sort by, none of which is ever null."""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.traces.infos.model import COLUMNS_OF, NAME_TAG, SESSION_KEY
from trimtab.domains.traces.infos.names import ALIASES, ENTITIES, MEANINGS, ORDERED
from trimtab.domains.traces.listing import Term
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import BadFilter, parse_ordering


def ordering(order_by: Sequence[str]) -> tuple[list[Term], dict[str, Any]]:
    """Return the sort terms and their values: what was asked for, missing values last, then newest first, then by id.

    Raises BadFilter.
    """
    terms: list[Term] = []
    params: dict[str, Any] = {}
    seen: set[tuple[str, str]] = set()
    for index, text in enumerate(order_by):
        asked = parse_ordering(text)
        entity = ENTITIES.get(asked.entity or "attribute")
        if entity is None or (entity == "attribute" and asked.key not in ORDERED):
            raise BadFilter(
                f"Invalid order_by '{text[:200]}'. Valid keys are {ORDERED}.{did_you_mean(asked.key, ORDERED)}",
                field="order_by",
            )
        lowered, key = asked.key.lower(), asked.key
        if entity != "span":
            entity, key = MEANINGS.get(lowered) or (entity, ALIASES.get(lowered, key))
        if entity not in ("attribute", "tag", "metadata"):
            raise BadFilter(f"Invalid identifier type '{entity}'", field="order_by")
        if entity == "metadata" and key in COLUMNS_OF:
            raise BadFilter(
                f"Ordering by reserved metadata '{key}' is not supported because it is represented by multiple"
                " columns.",
                field="order_by",
            )
        if (entity, key) in seen:
            raise BadFilter(f"`order_by` contains duplicate fields: {list(order_by)}", field="order_by")
        seen.add((entity, key))
        more, values = _terms(entity, key, ascending=asked.ascending, name=f"o{index}")
        terms += more
        params |= values
    if ("attribute", "timestamp_ms") not in seen:
        terms.append(Term("t.request_us", int, ascending=False))
    if ("attribute", "request_id") not in seen:
        terms.append(Term("t.id", str))
    return terms, params


def _terms(entity: str, key: str, *, ascending: bool, name: str) -> tuple[list[Term], dict[str, Any]]:
    plain = {
        "timestamp_ms": ("t.request_us", int),
        "end_time_ms": ("(t.request_us + coalesce(t.duration_us, 0))", int),
        "request_id": ("t.id", str),
        "status": ("t.state", str),
        "experiment_id": ("t.experiment_no", int),
    }
    if entity == "attribute" and key in plain:
        sql, kind = plain[key]
        return [Term(sql, kind, ascending)], {}
    params: dict[str, Any] = {}
    if entity == "attribute":
        value, empty, kind = "t.duration_us", "0", int
    elif (entity, key) == ("tag", NAME_TAG):
        value, empty, kind = "t.name", "''", str
    elif (entity, key) == ("metadata", SESSION_KEY):
        value, empty, kind = "t.session", "''", str
    else:
        table = "traces_tag" if entity == "tag" else "traces_metadata"
        value, empty, kind = (
            f"(select x.value from {table} x where x.trace_no = t.no and x.key = :{name}_key)",
            "''",
            str,
        )
        params[f"{name}_key"] = key
    missing = Term(f"(case when {value} is null then 1 else 0 end)", int)
    return [missing, Term(f"coalesce({value}, {empty})", kind, ascending)], params
