"""Turns the filters of a search for traces into SQL with bound values, and checks for what SQL cannot.

Regular expressions, and what stands inside compressed spans, are looked at in Python, in the order of the search.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.assessments.model import written
from trimtab.domains.traces.infos.model import (
    COLUMNS_OF,
    NAME_TAG,
    PROMPTS_TAG,
    RUN_KEY,
    SESSION_KEY,
    USAGE_KEY,
)
from trimtab.domains.traces.infos.names import NUMBERS, TEXTS, meaning
from trimtab.domains.traces.infos.ordering import ordering
from trimtab.domains.traces.infos.patterns import Predicate, like, longest, predicate, regex
from trimtab.domains.traces.listing import Term
from trimtab.domains.traces.spans.codec import Line
from trimtab.domains.traces.spans.model import SPAN_TYPE, Span, count, dumps, finite, loads_or_text
from trimtab.infra.db import Where, comparison
from trimtab.infra.db.port import Dialect
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.filters import ORDERINGS, Clause, parse_filter

SpanTest = Callable[[Line], bool]

_SPAN_COLUMNS = {"name": "s.name", "type": "s.type", "status": "s.status"}
_STRING = ("=", "!=", "IN", "NOT IN", "LIKE", "ILIKE", "RLIKE")
_TAGGED = ("=", "!=", "LIKE", "ILIKE", "RLIKE", "IS NULL", "IS NOT NULL")
_ASSESSED = (*_TAGGED, ">", ">=", "<", "<=")
_CONTENT = ("LIKE", "ILIKE")
_LISTED = ("name", "status", "request_id", "run_id", "client_request_id")


class Plan(msgspec.Struct):
    """The parts of a search. ``texts`` are further columns with the test that each must pass.

    ``within`` are texts that must stand somewhere in the spans, so that most traces need no closer look.
    """

    where: Where
    terms: list[Term]
    params: dict[str, Any]
    texts: list[tuple[str, Predicate]]
    within: list[bytes]
    spans: list[SpanTest]
    assessments: list[tuple[str, str, Predicate]]

    @property
    def is_plain(self) -> bool:
        """Whether SQL alone answers it."""
        return not (self.texts or self.spans or self.assessments)


def plan(
    *, experiments: Sequence[int], filter_text: str, order_by: Sequence[str] = (), dialect: Dialect
) -> Plan:
    """Return the parts of a search over the traces that are not in the trash; raises BadFilter."""
    where = Where().add("t.deleted_us is null").any_of("t.experiment_no", sorted(set(experiments)))
    result = Plan(where, [], {}, [], [], [], [])
    reader = _Reader(result, experiments, dialect)
    for index, clause in enumerate(parse_filter(filter_text)):
        reader.add(clause, f"f{index}")
    reader.finish()
    result.terms, result.params = ordering(order_by)
    return result


class _Reader:
    """Adds one clause after the other to a plan."""

    def __init__(self, result: Plan, experiments: Sequence[int], dialect: Dialect) -> None:
        self._plan = result
        self._experiments = sorted(set(experiments))
        self._dialect: Dialect = dialect
        self._of_spans: list[tuple[str, dict[str, Any]]] = []  # conditions on columns of one span
        self._tests: list[SpanTest] = []
        self._in_python = False

    def add(self, clause: Clause, name: str) -> None:
        entity, key = meaning(clause)
        match entity:
            case "attribute":
                self._attribute(clause, key, name)
            case "tag":
                self._tag(clause, key, name)
            case "metadata":
                self._metadata(clause, key, name)
            case "span":
                self._span(clause, key, name)
            case "issue":
                _allow(clause, ("=",), _is_text(clause) and key == "id")
                self._where(
                    "exists (select 1 from traces_assessment a where a.trace_no = t.no and a.kind = 'issue'"
                    f" and a.name = :{name})",
                    {name: clause.value},
                )
            case _:
                self._assessment(clause, entity, key, name)

    def finish(self) -> None:
        """Say that one span must meet all that was asked of spans."""
        if self._of_spans:
            params = {key: value for _, given in self._of_spans for key, value in given.items()}
            conditions = " and ".join(sql for sql, _ in self._of_spans)
            self._where(
                f"exists (select 1 from traces_span s where s.trace_no = t.no and {conditions})", params
            )
        elif self._tests:
            self._where("exists (select 1 from traces_chunk c where c.trace_no = t.no)", {})
        if self._in_python:
            self._plan.spans = self._tests

    def _where(self, condition: str, params: dict[str, Any]) -> None:
        self._plan.where.add(condition, **params)

    def _text(self, column: str, clause: Clause, name: str) -> None:
        """Ask that a column which may be null compares so."""
        if clause.operator == "RLIKE":
            self._where(f"{column} is not null", {})
            self._plan.texts.append((column, predicate("RLIKE", clause.value)))
            return
        self._where(*comparison(column, clause.operator, clause.value, name=name, dialect=self._dialect))

    def _attribute(self, clause: Clause, key: str, name: str) -> None:
        if column := NUMBERS.get(key):
            if clause.operator not in ORDERINGS:
                raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of '{ORDERINGS}'")
            if key == "timestamp_ms" and not isinstance(clause.value, int):
                raise clause.refuse("Invalid clause(s) in filter string: a time is a whole number.")
            self._where(f"{column} {clause.operator} :{name}", {name: _number(clause)})
            return
        _allow(clause, _STRING, _is_text(clause) or (_is_list(clause) and clause.key in _LISTED))
        self._text(TEXTS[key], clause, name)

    def _tag(self, clause: Clause, key: str, name: str) -> None:
        if key == PROMPTS_TAG:
            _allow(clause, ("=",), isinstance(clause.value, str) and clause.value.count("/") == 1)
            self._where(
                f"exists (select 1 from traces_prompt p where p.trace_no = t.no and p.prompt = :{name})",
                {name: clause.value},
            )
            return
        _allow(clause, _TAGGED, clause.value is None or _is_text(clause))
        if key == NAME_TAG:
            self._text("t.name", clause, name)
        else:
            self._entry("traces_tag", clause, key, name)

    def _metadata(self, clause: Clause, key: str, name: str) -> None:
        _allow(clause, _TAGGED, clause.value is None or _is_text(clause))
        if key == SESSION_KEY:
            self._text("t.session", clause, name)
        elif key in COLUMNS_OF:
            self._promoted(clause, key, name)
        elif key == RUN_KEY and clause.operator == "=":
            self._where(
                f"exists (select 1 from traces_run r where r.run_id = :{name} and r.trace_no = t.no) or exists"
                f" (select 1 from traces_metadata x where x.trace_no = t.no and x.key = :{name}_key and x.value = :{name})",
                {name: clause.value, f"{name}_key": key},
            )
        else:
            self._entry("traces_metadata", clause, key, name)

    def _entry(self, table: str, clause: Clause, key: str, name: str) -> None:
        found = f"select 1 from {table} x where x.trace_no = t.no and x.key = :{name}_key"
        params = {f"{name}_key": key}
        match clause.operator:
            case "IS NULL":
                self._where(f"not exists ({found})", params)
            case "IS NOT NULL":
                self._where(f"exists ({found})", params)
            case "RLIKE":
                self._where(f"exists ({found})", params)
                column = f"(select x.value from {table} x where x.trace_no = t.no and x.key = :{name}_key)"
                self._plan.texts.append((column, predicate("RLIKE", clause.value)))
            case _:
                condition, given = comparison(
                    "x.value", clause.operator, clause.value, name=name, dialect=self._dialect
                )
                self._where(f"exists ({found} and {condition})", params | given)

    def _promoted(self, clause: Clause, key: str, name: str) -> None:
        """Compare metadata that columns stand for: they are equal to what answers would show."""
        columns = COLUMNS_OF[key]
        present = " or ".join(f"t.{column} is not null" for column in columns.values())
        if clause.operator in ("IS NULL", "IS NOT NULL"):
            self._where(f"not ({present})" if clause.operator == "IS NULL" else present, {})
            return
        _allow(clause, ("=", "!="), ok=True)
        stated = loads_or_text(str(clause.value))
        convert = count if key == USAGE_KEY else finite
        given = stated if isinstance(stated, dict) and set(stated) <= set(columns) else {}
        values = {entry: convert(given[entry]) for entry in columns if convert(given.get(entry)) is not None}
        equal, params = "1 = 0", {}
        if values and dumps(values) == clause.value:
            params = {f"{name}_{columns[entry]}": value for entry, value in values.items()}
            equal = " and ".join(
                f"t.{column} = :{name}_{column}" if entry in values else f"t.{column} is null"
                for entry, column in columns.items()
            )
            equal = f"({equal}) and ({present})"
        different = f"({present}) and not coalesce(({equal}), 1 = 0)"
        self._where(equal if clause.operator == "=" else different, params)

    def _span(self, clause: Clause, key: str, name: str) -> None:
        attribute = key.removeprefix("attributes.") if key.startswith("attributes.") else None
        if attribute is None and key not in (*_SPAN_COLUMNS, "content"):
            raise clause.refuse(
                f"Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>."
                f"{did_you_mean(key, _SPAN_COLUMNS)}"
            )
        allowed = _CONTENT if key == "content" else _STRING
        _allow(clause, allowed, _is_text(clause) or (_is_list(clause) and key != "content"))
        if column := _SPAN_COLUMNS.get(key):
            matches = predicate(clause.operator, clause.value)
            self._tests.append(
                lambda line: (text := _span_text(line.span, key)) is not None and matches(text)
            )
            if clause.operator == "RLIKE":
                self._in_python = True
            else:
                self._of_spans.append(
                    comparison(column, clause.operator, clause.value, name=name, dialect=self._dialect)
                )
            return
        self._in_python = True
        matches = _in_line(clause) if attribute is None else _in_attribute(clause, attribute.strip("`"))
        if clause.operator == "LIKE":
            self._plan.within.append(longest(str(clause.value)).encode())
        self._tests.append(lambda line: matches(line.text))

    def _assessment(self, clause: Clause, kind: str, key: str, name: str) -> None:
        numeric = clause.operator in (">", ">=", "<", "<=")
        is_number = isinstance(clause.value, int | float)
        _allow(clause, _ASSESSED, clause.value is None or (is_number if numeric else _is_text(clause)))
        params: dict[str, Any] = {f"{name}_kind": kind, f"{name}_name": key}
        found = f"a.kind = :{name}_kind and a.name = :{name}_name and a.valid = 1"
        if numeric:
            found += f" and a.numeric_value = 1 and a.number {clause.operator} :{name}"
            params[name] = _number(clause)
        elif clause.operator in ("=", "!="):
            given = "not " if clause.operator == "!=" else ""
            found += f" and {given}(a.value = :{name} or a.value = :{name}_quoted)"
            params |= {name: clause.value, f"{name}_quoted": written(clause.value)}
        elif clause.operator in ("LIKE", "ILIKE"):
            condition, given = comparison(
                "a.value", clause.operator, clause.value, name=name, dialect=self._dialect
            )
            found += f" and {condition}"
            params |= given
        elif clause.operator == "RLIKE":
            self._plan.assessments.append((kind, key, predicate("RLIKE", clause.value)))
        direct = f"t.no in (select a.trace_no from traces_assessment a where {found})"
        scope = ", ".join(f":{name}_e{index}" for index in range(len(self._experiments))) or "null"
        params |= {f"{name}_e{index}": number for index, number in enumerate(self._experiments)}
        of_session = (
            "t.session is not null and t.session in (select o.session from traces_trace o"
            " join traces_assessment a on a.trace_no = o.no where o.deleted_us is null"
            f" and o.experiment_no in ({scope}) and a.session_wide = 1 and {found})"
        )
        either = direct if clause.operator == "RLIKE" else f"{direct} or ({of_session})"
        self._where(f"not ({either})" if clause.operator == "IS NULL" else either, params)


def _span_text(span: Span, key: str) -> str | None:
    match key:
        case "name":
            return span.name
        case "status":
            return span.outcome
        case _:
            kind = span.value(SPAN_TYPE)
            return kind if isinstance(kind, str) else None


def _in_line(clause: Clause) -> Predicate:
    return like(str(clause.value), fold=clause.operator == "ILIKE")


def _in_attribute(clause: Clause, attribute: str) -> Predicate:
    """Return the test of an attribute as MLflow's server has it: on the JSON text of the span."""
    if not attribute:
        raise clause.refuse("Span attribute name cannot be empty after 'attributes.'")
    value = clause.value if isinstance(clause.value, str) else ""
    match clause.operator:
        case "LIKE" | "ILIKE":
            return like(f'%"{attribute}"{value}%', fold=clause.operator == "ILIKE")
        case "RLIKE":
            before = r'"\\"' if value.startswith("^") else r'"\\".*'
            after = r"\\\"" if value.endswith("$") else ""
            body = value.removeprefix("^").removesuffix("$")
            regex(body)
            compiled = regex(f'"{attribute}":{before}{body}{after}')
            return lambda line: compiled.search(line) is not None
        case "!=" | "NOT IN":
            return lambda _: True
        case _:
            return lambda _: False


def _is_text(clause: Clause) -> bool:
    return isinstance(clause.value, str)


def _is_list(clause: Clause) -> bool:
    return isinstance(clause.value, tuple)


def _allow(clause: Clause, operators: Sequence[str], ok: bool) -> None:  # noqa: FBT001 - the verdict on the value
    if clause.operator not in operators:
        raise clause.refuse(f"Invalid comparator '{clause.operator}' not one of '{sorted(operators)}'")
    if not ok:
        raise clause.refuse(f"Invalid value {clause.value!r} for '{clause.key}'.")


def _number(clause: Clause) -> float:
    try:
        return float(clause.value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise clause.refuse(f"Expected a number, found {clause.value!r}.") from None
