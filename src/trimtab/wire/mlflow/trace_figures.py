"""Figures over traces of the MLflow API: sums and percentiles by time and kind, and which properties go together."""

import math
from typing import Any

import msgspec

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.analysis.model import KINDS, MOST_POINTS, VIEWS, Aggregation, Correlation, Point
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import Int64, required


class Correlate(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter_string1: str | None = None
    filter_string2: str | None = None
    base_filter: str | None = None


class CorrelationView(msgspec.Struct, omit_defaults=True):
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int
    npmi: float | None = None
    npmi_smoothed: float | None = None


class AggregationMessage(msgspec.Struct):
    aggregation_type: str | int | None = None
    percentile_value: float | None = None


class Metrics(msgspec.Struct):
    experiment_ids: list[str] | None = None
    view_type: str | int | None = None
    metric_name: str | None = None
    aggregations: list[AggregationMessage] | None = None
    dimensions: list[str] | None = None
    filters: list[str] | None = None
    time_interval_seconds: Int64 | None = None
    start_time_ms: Int64 | None = None
    end_time_ms: Int64 | None = None
    max_results: Int64 | None = None
    page_token: str | None = None


class PointView(msgspec.Struct, omit_defaults=True):
    metric_name: str
    dimensions: dict[str, str] = {}
    values: dict[str, float] = {}


class Points(msgspec.Struct, omit_defaults=True):
    data_points: list[PointView] = []


def handlers(service: TracesService) -> list[Handler]:
    @handler("POST", "/mlflow/traces/calculate-filter-correlation", Correlate, version="3.0")
    def correlate(request: Request, body: Correlate) -> CorrelationView:
        if not body.experiment_ids:
            raise missing("experiment_ids")
        found = service.analysis.correlate(
            request.who,
            experiment_ids=body.experiment_ids,
            first=required(body.filter_string1, "filter_string1"),
            second=required(body.filter_string2, "filter_string2"),
            base=body.base_filter or None,
        )
        return _correlation(found)

    @handler("POST", "/mlflow/traces/metrics", Metrics, version="3.0")
    def metrics(request: Request, body: Metrics) -> Points:
        if not body.experiment_ids:
            raise missing("experiment_ids")
        if not body.aggregations:
            raise missing("aggregations")
        points = service.analysis.metrics(
            request.who,
            experiment_ids=body.experiment_ids,
            view=_named(body.view_type, VIEWS, "view_type"),
            metric_name=required(body.metric_name, "metric_name"),
            aggregations=[
                Aggregation(_named(one.aggregation_type, KINDS, "aggregation_type"), one.percentile_value)
                for one in body.aggregations
            ],
            dimensions=body.dimensions or (),
            filters=body.filters or (),
            interval_s=body.time_interval_seconds,
            from_ms=body.start_time_ms,
            until_ms=body.end_time_ms,
            limit=MOST_POINTS if body.max_results is None else body.max_results,
        )
        return Points([_point(one) for one in points])

    return [correlate, metrics]


def _named(given: str | int | None, names: tuple[Any, ...], field: str) -> Any:
    """Return an enumeration's name, also by its number, which begins at 1; raises Invalid."""
    if given is None:
        raise missing(field)
    if isinstance(given, int) and 1 <= given <= len(names):
        return names[given - 1]
    if given in names:
        return given
    raise Invalid(f"Invalid value {given!r} for parameter '{field}' supplied.", field=field)


def _correlation(found: Correlation) -> CorrelationView:
    return CorrelationView(
        found.filter1_count,
        found.filter2_count,
        found.joint_count,
        found.total_count,
        None if math.isnan(found.npmi) else found.npmi,
        None if math.isnan(found.npmi_smoothed) else found.npmi_smoothed,
    )


def _point(point: Point) -> PointView:
    return PointView(point.metric_name, point.dimensions, point.values)
