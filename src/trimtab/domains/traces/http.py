"""The HTTP face of traces, assessments and evaluation data sets."""

import json
from typing import Any

import msgspec

from trimtab.domains.traces.assessments.model import Assessment, Kind, Source
from trimtab.domains.traces.datasets.model import SOURCE_TYPES, EvaluationDataset, Record, SourceType
from trimtab.domains.traces.infos.model import (
    COST_KEY,
    SESSION_KEY,
    USAGE_KEY,
    USER_KEY,
    State,
    Trace,
    json_object,
)
from trimtab.domains.traces.infos.service import WholeTrace
from trimtab.domains.traces.service import TracesService
from trimtab.domains.traces.spans.model import INPUTS, OUTPUTS, SPAN_TYPE, Span, Status, count, finite
from trimtab.domains.traces.spans.tree import depth_first
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import DEFAULT_LIMIT, Page, check_limit

_SHOWN_APART = (INPUTS, OUTPUTS, SPAN_TYPE, "mlflow.traceRequestId")


class TracesQuery(msgspec.Struct):
    experiment_id: list[str]
    filter: str = ""
    order_by: list[str] = []
    limit: int | None = None
    cursor: str | None = None


class AssessmentView(msgspec.Struct):
    id: str
    name: str
    kind: Kind
    value: Any
    error: str | None
    source_type: Source
    source_id: str | None
    span_id: str | None
    rationale: str | None
    valid: bool
    metadata: dict[str, str]
    created_us: int
    updated_us: int


class TraceView(msgspec.Struct):
    """A trace. ``tokens`` and ``cost`` (in US dollars) are null where nobody said them."""

    id: str
    name: str
    experiment_id: str
    state: State
    started_us: int
    duration_us: int | None
    spans: int
    request: str | None
    response: str | None
    session: str | None
    user: str | None
    tokens: int | None
    cost: float | None
    tags: dict[str, str]
    metadata: dict[str, str]
    assessments: list[AssessmentView]


class SpanEventView(msgspec.Struct):
    name: str
    offset_us: int
    attributes: dict[str, Any]


class SpanView(msgspec.Struct):
    """A span. ``offset_us`` counts from the start of the trace; ``duration_us`` is null while it is open."""

    id: str
    parent_id: str | None
    depth: int
    name: str
    type: str | None
    status: Status
    message: str | None
    offset_us: int
    duration_us: int | None
    inputs: Any
    outputs: Any
    attributes: dict[str, Any]
    events: list[SpanEventView]


class TraceDetail(msgspec.Struct):
    """A trace with its spans: each before those that it began, siblings by their start."""

    info: TraceView
    spans: list[SpanView]


class DatasetsQuery(msgspec.Struct):
    experiment_id: list[str] = []
    filter: str = ""
    limit: int | None = None
    cursor: str | None = None


class EvaluationDatasetView(msgspec.Struct):
    id: str
    name: str
    records: int
    digest: str
    created_us: int
    updated_us: int
    created_by: str | None
    updated_by: str | None
    schema: dict[str, Any]
    tags: dict[str, str]
    experiment_ids: list[str]


class RecordsQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class RecordView(msgspec.Struct):
    id: str
    inputs: dict[str, Any]
    outputs: Any
    expectations: dict[str, Any]
    tags: dict[str, str]
    source_type: SourceType | None
    source_id: str | None
    created_us: int
    updated_us: int


def routes(service: TracesService) -> list[Route]:
    return [*_traces(service), *_datasets(service)]


def _traces(service: TracesService) -> list[Route]:
    traces = service.traces

    @route("GET", "/api/v1/traces", query=TracesQuery, returns=Page[TraceView], tags=["traces"])
    def list_traces(request: Request, query: TracesQuery) -> Page[TraceView]:
        """List traces of experiments, newest first by default."""
        page = traces.search(
            request.who,
            experiment_ids=query.experiment_id,
            filter=query.filter,
            order_by=query.order_by,
            limit=check_limit(query.limit),
            cursor=query.cursor,
        )
        spans = traces.span_counts(request.who, page.items)
        return Page([_info(one, spans[one.id]) for one in page.items], page.next_cursor)

    @route("GET", "/api/v1/traces/{trace_id}", returns=TraceDetail, tags=["traces"])
    def get_trace(request: Request) -> TraceDetail:
        """Return a trace with its spans and what is said of it."""
        return _detail(traces.get_whole(request.who, request.path["trace_id"], partial=True))

    @route("DELETE", "/api/v1/traces/{trace_id}", tags=["traces"])
    def delete_trace(request: Request) -> None:
        """Move a trace to the trash."""
        found = traces.get(request.who, request.path["trace_id"])
        traces.delete(request.who, found.experiment_id, trace_ids=[found.id])

    @route("POST", "/api/v1/traces/{trace_id}/restore", tags=["traces"])
    def restore_trace(request: Request) -> None:
        """Take a trace out of the trash."""
        traces.restore(request.who, request.path["trace_id"])

    return [list_traces, get_trace, delete_trace, restore_trace]


def _datasets(service: TracesService) -> list[Route]:
    datasets = service.datasets

    @route(
        "GET",
        "/api/v1/evaluation-datasets",
        query=DatasetsQuery,
        returns=Page[EvaluationDatasetView],
        tags=["traces"],
    )
    def list_datasets(request: Request, query: DatasetsQuery) -> Page[EvaluationDatasetView]:
        """List evaluation data sets, newest first."""
        page = datasets.search(
            request.who,
            filter=query.filter,
            experiment_ids=query.experiment_id,
            limit=check_limit(query.limit),
            cursor=query.cursor,
        )
        return Page([_dataset(one) for one in page.items], page.next_cursor)

    @route("GET", "/api/v1/evaluation-datasets/{dataset_id}", returns=EvaluationDatasetView, tags=["traces"])
    def get_dataset(request: Request) -> EvaluationDatasetView:
        """Return an evaluation data set."""
        return _dataset(datasets.get(request.who, request.path["dataset_id"]))

    @route(
        "GET",
        "/api/v1/evaluation-datasets/{dataset_id}/records",
        query=RecordsQuery,
        returns=Page[RecordView],
        tags=["traces"],
    )
    def list_records(request: Request, query: RecordsQuery) -> Page[RecordView]:
        """List the records of an evaluation data set in the order in which they came."""
        dataset = datasets.get(request.who, request.path["dataset_id"])
        limit = check_limit(query.limit, default=DEFAULT_LIMIT)
        found, cursor = datasets.records(request.who, dataset.id, limit=limit, token=query.cursor)
        return Page([_record(one) for one in found], cursor)

    @route("DELETE", "/api/v1/evaluation-datasets/{dataset_id}", tags=["traces"])
    def delete_dataset(request: Request) -> None:
        """Move an evaluation data set to the trash."""
        datasets.delete(request.who, datasets.get(request.who, request.path["dataset_id"]).id)

    @route(
        "POST",
        "/api/v1/evaluation-datasets/{dataset_id}/restore",
        returns=EvaluationDatasetView,
        tags=["traces"],
    )
    def restore_dataset(request: Request) -> EvaluationDatasetView:
        """Take an evaluation data set out of the trash."""
        return _dataset(datasets.restore(request.who, request.path["dataset_id"]))

    return [list_datasets, get_dataset, list_records, delete_dataset, restore_dataset]


def _info(trace: Trace, spans: int) -> TraceView:
    usage = json_object(trace.metadata.get(USAGE_KEY, ""))
    cost = json_object(trace.metadata.get(COST_KEY, ""))
    return TraceView(
        id=trace.id,
        name=trace.name or trace.root or "",
        experiment_id=trace.experiment_id,
        state=trace.state,
        started_us=trace.request_us,
        duration_us=trace.duration_us,
        spans=spans,
        request=trace.request_preview,
        response=trace.response_preview,
        session=trace.metadata.get(SESSION_KEY),
        user=trace.metadata.get(USER_KEY),
        tokens=count(usage.get("total_tokens")),
        cost=finite(cost.get("total_cost")),
        tags=trace.tags,
        metadata=trace.metadata,
        assessments=[_assessment(one) for one in trace.assessments],
    )


def _detail(whole: WholeTrace) -> TraceDetail:
    began = min((span.start_time_unix_nano for span in whole.spans), default=0)
    spans = [_span(span, depth, began) for span, depth in depth_first(whole.spans)]
    return TraceDetail(_info(whole.info, len(spans)), spans)


def _span(span: Span, depth: int, began: int) -> SpanView:
    kind = span.value(SPAN_TYPE)
    return SpanView(
        id=span.id,
        parent_id=span.parent_id,
        depth=depth,
        name=span.name,
        type=kind if isinstance(kind, str) else None,
        status=span.outcome,
        message=span.status.message or None,
        offset_us=(span.start_time_unix_nano - began) // 1000,
        duration_us=(span.ended_ns - span.start_time_unix_nano) // 1000 if span.ended_ns else None,
        inputs=span.value(INPUTS),
        outputs=span.value(OUTPUTS),
        attributes={key: span.value(key) for key in span.attributes if key not in _SHOWN_APART},
        events=[
            SpanEventView(one.name, (one.time_unix_nano - began) // 1000, one.attributes)
            for one in span.events
        ],
    )


def _assessment(one: Assessment) -> AssessmentView:
    error = f"{one.error.error_code}: {one.error.error_message or ''}".rstrip(": ") if one.error else None
    return AssessmentView(
        id=one.id,
        name=one.name,
        kind=one.kind,
        value=one.value,
        error=error,
        source_type=one.source_type,
        source_id=one.source_id,
        span_id=one.span_id,
        rationale=one.rationale,
        valid=one.valid,
        metadata=one.metadata or {},
        created_us=one.created_us,
        updated_us=one.updated_us,
    )


def _dataset(dataset: EvaluationDataset) -> EvaluationDatasetView:
    return EvaluationDatasetView(
        id=dataset.id,
        name=dataset.name,
        records=(json_object(dataset.profile or "").get("num_records")) or 0,
        digest=dataset.digest,
        created_us=dataset.created_us,
        updated_us=dataset.updated_us,
        created_by=dataset.created_by,
        updated_by=dataset.updated_by,
        schema=json.loads(dataset.schema) if dataset.schema else {},
        tags=dataset.tags,
        experiment_ids=dataset.experiment_ids,
    )


def _record(record: Record) -> RecordView:
    return RecordView(
        id=record.id,
        inputs=record.inputs,
        outputs=record.outputs,
        expectations=record.expectations or {},
        tags=record.tags,
        source_type=next((one for one in SOURCE_TYPES if one == record.source_type), None),
        source_id=record.source_id,
        created_us=record.created_us,
        updated_us=record.updated_us,
    )
