"""Computes figures over many traces, and how properties of traces go together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trimtab.domains.govern import GovernService
from trimtab.domains.traces.analysis import store
from trimtab.domains.traces.analysis.model import (
    DIMENSIONS,
    MOST_POINTS,
    Aggregation,
    Correlation,
    Point,
    View,
    correlation,
    measure,
    percentile,
)
from trimtab.domains.traces.infos.finder import all_matching
from trimtab.domains.traces.infos.model import NAME_TAG, RUN_KEY, SESSION_KEY
from trimtab.domains.traces.infos.search import plan
from trimtab.domains.traces.infos.service import experiment_number
from trimtab.infra.db import Database, Where
from trimtab.infra.db.port import Row
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import Clause, parse_filter
from trimtab.kernel.who import Principal

_MOST_MS = (2**63 - 1) // 1_000_000
_SQL = {
    "COUNT": "count({})",
    "SUM": "cast(sum({}) as double precision)",
    "AVG": "cast(avg({}) as double precision)",
    "MIN": "cast(min({}) as double precision)",
    "MAX": "cast(max({}) as double precision)",
}
_COSTS = ("input_cost", "output_cost", "total_cost")


class AnalysisService:
    """Figures over many traces."""

    def __init__(self, db: Database, govern: GovernService) -> None:
        self._db = db
        self.govern = govern

    def metrics(
        self,
        who: Principal,
        *,
        experiment_ids: Sequence[str],
        view: View,
        metric_name: str,
        aggregations: Sequence[Aggregation],
        dimensions: Sequence[str] = (),
        filters: Sequence[str] = (),
        interval_s: int | None = None,
        from_ms: int | None = None,
        until_ms: int | None = None,
        limit: int = MOST_POINTS,
    ) -> list[Point]:
        """Return one point for each group, in order; raises Invalid for what is not measured so."""
        self.govern.permit(who, "read", "traces")
        found = measure(view, metric_name, aggregations, dimensions)
        if interval_s and (from_ms is None or until_ms is None):
            raise Invalid(
                "start_time_ms and end_time_ms are required if time_interval_seconds is set",
                field="time_interval_seconds",
            )
        if interval_s is not None and not 0 <= interval_s <= 10**9:
            raise Invalid("time_interval_seconds is out of range.", field="time_interval_seconds")
        if not 1 <= limit <= 50_000:
            raise Invalid("max_results must be between 1 and 50000.", field="max_results")
        where = self._where(experiment_ids, view, metric_name, found.sql, from_ms, until_ms)
        for index, text in enumerate(filters):
            _add_filter(where, text, view, f"f{index}")
        groups = [DIMENSIONS[name] for name in dimensions]
        for column in groups:
            where.add(f"{column} is not null")
        names = list(dimensions)
        params: dict[str, Any] = {}
        if interval_s:
            unit, column = (10**9, "s.started_ns") if view == "SPANS" else (10**6, "t.request_us")
            groups.insert(0, f"({column} / :bucket) * {interval_s * 1000} as bucket")
            names.insert(0, "time_bucket")
            params["bucket"] = interval_s * unit
        numbers = [_SQL[one.kind].format(found.sql) for one in aggregations if one.kind != "PERCENTILE"]
        labels = [one.label for one in aggregations if one.kind != "PERCENTILE"]
        percents = [one for one in aggregations if one.kind == "PERCENTILE"]
        with self._db.read() as tx:
            rows = store.grouped(
                tx,
                view=view,
                where=where,
                groups=groups,
                numbers=[*numbers, "count(*)"],
                limit=limit,
                params=params,
            )
            spread = (
                store.values(tx, view=view, where=where, groups=groups, value=found.sql, params=params)
                if percents
                else []
            )
        ordered = _by_group(spread, len(names))
        points: list[Point] = []
        for row in rows:
            group = row[: len(names)]
            values = dict(zip(labels, row[len(names) : -1], strict=True))
            for one in percents:
                if group in ordered:
                    values[one.label] = percentile(ordered[group], one.percentile or 0.0)
            stated = {label: float(value) for label, value in values.items() if value is not None}
            if stated and row[-1] + (not groups):
                points.append(
                    Point(metric_name, dict(zip(names, map(_shown, names, group), strict=True)), stated)
                )
        return points

    def correlate(
        self,
        who: Principal,
        *,
        experiment_ids: Sequence[str],
        first: str,
        second: str,
        base: str | None = None,
    ) -> Correlation:
        """Return how often two filters find the same traces, among those that ``base`` finds; raises BadFilter."""
        self.govern.permit(who, "read", "traces")
        numbers = [experiment_number(one) for one in experiment_ids]
        found: list[set[int]] = []
        with self._db.read() as tx:
            for text in (
                base or "",
                f"{base} and {first}" if base else first,
                f"{base} and {second}" if base else second,
            ):
                parts = plan(experiments=numbers, filter_text=text, dialect=self._db.dialect)
                found.append(all_matching(tx, parts))
        everything, one, other = found
        return correlation(joint=len(one & other), first=len(one), second=len(other), total=len(everything))

    def _where(
        self,
        experiment_ids: Sequence[str],
        view: View,
        metric_name: str,
        value: str,
        from_ms: int | None,
        until_ms: int | None,
    ) -> Where:
        numbers = sorted({experiment_number(one) for one in experiment_ids})
        where = Where().add("t.deleted_us is null").any_of("t.experiment_no", numbers)
        where.add(f"{value.removeprefix('distinct ')} is not null")
        if view == "ASSESSMENTS":
            where.add("a.valid = 1")
        by_span = view == "SPANS" and metric_name in _COSTS
        column, unit = ("s.started_ns", 10**6) if by_span else ("t.request_us", 1000)
        if from_ms is not None:
            where.add(f"{column} >= :from_time", from_time=_within(from_ms) * unit)
        if until_ms is not None:
            where.add(f"{column} < :until_time", until_time=(_within(until_ms) + 1) * unit)
        return where


def _within(ms: int) -> int:
    return max(-_MOST_MS + 1, min(_MOST_MS - 1, ms))


def _by_group(rows: Sequence[Row], width: int) -> dict[Row, list[float]]:
    groups: dict[Row, list[float]] = {}
    for row in rows:
        groups.setdefault(row[:width], []).append(float(row[width]))
    return groups


def _shown(name: str, value: Any) -> str:
    return datetime.fromtimestamp(value / 1000, UTC).isoformat() if name == "time_bucket" else str(value)


def _add_filter(where: Where, text: str, view: View, name: str) -> None:
    """Narrow a figure by one comparison such as ``trace.tag.team = 'risk'``; raises BadFilter and Invalid."""
    clauses = parse_filter(text)
    if len(clauses) != 1:
        raise Invalid(f"Invalid filter: '{text[:200]}'. Expected one filter clause.", field="filters")
    clause = clauses[0]
    if clause.operator != "=" or not isinstance(clause.value, str):
        raise clause.refuse(f"Invalid comparator: '{clause.operator}', only '=' operator is supported")
    condition = _condition(clause, view, name)
    params = {name: clause.value}
    if f":{name}_key" in condition:
        params[f"{name}_key"] = _key(clause)
    where.add(condition, **params)


def _key(clause: Clause) -> str:
    return clause.key.partition(".")[2].strip("`\"'")


def _condition(clause: Clause, view: View, name: str) -> str:
    entity, dot, _ = clause.key.partition(".")
    key = _key(clause)
    match clause.entity, entity, bool(dot):
        case "trace", "status", False:
            return f"t.state = :{name}"
        case "trace", "tag", True if key == NAME_TAG:
            return f"t.name = :{name}"
        case "trace", "metadata", True if key == SESSION_KEY:
            return f"t.session = :{name}"
        case "trace", "tag" | "metadata", True:
            table = "traces_tag" if entity == "tag" else "traces_metadata"
            found = f"exists (select 1 from {table} x where x.trace_no = t.no and x.key = :{name}_key and x.value = :{name})"
            if entity == "metadata" and key == RUN_KEY:
                found += (
                    f" or exists (select 1 from traces_run r where r.run_id = :{name} and r.trace_no = t.no)"
                )
            return found
        case "span", "name" | "status" | "type", False if view == "SPANS":
            return f"s.{entity} = :{name}"
        case "assessment", "name", False if view == "ASSESSMENTS":
            return f"a.name = :{name}"
        case "assessment", "type", False if view == "ASSESSMENTS":
            return f"a.kind = :{name}"
        case _:
            raise clause.refuse(
                f"'{clause.entity}.{clause.key}' is no filter of {view}. Use trace.status, trace.tag.<key>, trace.metadata.<key>,"
                " of spans span.name, span.status and span.type, and of assessments assessment.name and assessment.type."
            )
