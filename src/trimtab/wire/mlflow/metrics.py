"""The metric histories of the MLflow API."""

import math
from collections.abc import Sequence

import msgspec

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.errors import RunNotFound
from trimtab.domains.tracking.metrics.model import PointColumns
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import Int64, MetricView, number, page_size, required

_MOST_RUNS = 100
_MOST_IN_A_PAGE = 1_000_000
_MOST_IN_BULK = 25_000
_MOST_SAMPLED = 2500


class GetHistory(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    metric_key: str | None = None
    page_token: str | None = None
    max_results: str | int | None = None  # what is no whole number counts as not given


class History(msgspec.Struct, omit_defaults=True):
    metrics: list[MetricView] = []
    next_page_token: str | None = None


class BulkHistory(msgspec.Struct):
    """Histories of several runs; the list is there even when it is empty."""

    metrics: list[MetricView]


class GetBulk(msgspec.Struct):
    run_id: list[str] | None = None
    metric_key: str | None = None
    max_results: Int64 | None = None


class GetInterval(msgspec.Struct):
    run_ids: list[str] | None = None
    metric_key: str | None = None
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 | None = None


def handlers(tracking: TrackingService) -> list[Handler]:
    metrics = tracking.metrics

    @handler("GET", "/mlflow/metrics/get-history", GetHistory)
    def get_history(request: Request, body: GetHistory) -> History:
        page = metrics.history(
            request.who,
            required(body.run_id or body.run_uuid, "run_id"),
            required(body.metric_key, "metric_key"),
            limit=min(
                page_size(_whole(body.max_results), default=_MOST_IN_A_PAGE, most=2**63), _MOST_IN_A_PAGE
            ),
            cursor=body.page_token or None,
        )
        return History(_views(page.columns), page.next_cursor)

    @handler("GET", "/mlflow/metrics/get-history-bulk", GetBulk)
    def get_bulk(request: Request, body: GetBulk) -> BulkHistory:
        if not body.run_id:
            raise Invalid("GetMetricHistoryBulk request must specify at least one run_id.", field="run_id")
        _check_runs(body.run_id, "GetMetricHistoryBulk")
        key = required(body.metric_key, "metric_key")
        left = min(page_size(body.max_results, default=_MOST_IN_BULK, most=2**31), _MOST_IN_BULK)
        found: list[MetricView] = []
        for run_id in sorted(set(body.run_id)):
            if left <= 0:
                break
            points = metrics.history(request.who, run_id, key, limit=left).columns
            found += _views(points, run_id)
            left -= len(points)
        return BulkHistory(found)

    @handler("GET", "/mlflow/metrics/get-history-bulk-interval", GetInterval)
    def get_interval(request: Request, body: GetInterval) -> History:
        if not body.run_ids:
            raise missing("run_ids")
        _check_runs(body.run_ids, "GetMetricHistoryBulkInterval")
        key = required(body.metric_key, "metric_key")
        most = page_size(body.max_results, default=_MOST_SAMPLED, most=_MOST_SAMPLED)
        steps = _steps(body)
        found: list[MetricView] = []
        for run_id in body.run_ids:
            try:
                [(_, points)] = metrics.sample(request.who, [run_id], key, most=most, steps=steps)
            except RunNotFound:  # has no points, like any other run that never logged this metric
                continue
            found += _views(points, run_id)
        return History(found)

    return [get_history, get_bulk, get_interval]


def _whole(given: str | int | None) -> int | None:
    try:
        return None if given is None else int(given)
    except ValueError:
        return None


def _views(points: PointColumns, run_id: str | None = None) -> list[MetricView]:
    odd = not all(map(math.isfinite, points.values))
    values: Sequence[float | str] = [number(value) for value in points.values] if odd else points.values
    rows = zip(points.keys, values, points.at_us, points.steps, strict=True)
    if run_id is None:
        return [MetricView(key, value, at_us // 1000, step) for key, value, at_us, step in rows]
    return [
        MetricView(key, value, at_us // 1000, step, None, None, None, run_id)
        for key, value, at_us, step in rows
    ]


def _check_runs(run_ids: list[str], request: str) -> None:
    if len(run_ids) > _MOST_RUNS:
        raise Invalid(
            f"{request} request must specify at most {_MOST_RUNS} run_ids. Received {len(run_ids)} run_ids.",
            field="run_ids",
        )


def _steps(body: GetInterval) -> tuple[int, int] | None:
    if body.start_step is None and body.end_step is None:
        return None
    if body.start_step is None or body.end_step is None:
        raise Invalid(
            "If either start step or end step are specified, both must be specified.", field="start_step"
        )
    if body.start_step > body.end_step:
        raise Invalid(
            "end_step must be greater than start_step. "
            f"Found start_step={body.start_step} and end_step={body.end_step}.",
            field="end_step",
        )
    return body.start_step, body.end_step
