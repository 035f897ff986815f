"""The second version of MLflow's trace protocol, to which clients turn where a server lacks the third."""

import msgspec

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.infos.model import SHOWN_METADATA, SHOWN_TAG, Stated, Trace
from trimtab.infra.http import Request
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import Empty, Int64, Tag, TagView, micros, millis, tag_pairs, tag_views
from trimtab.wire.mlflow.trace_messages import read_state, shown
from trimtab.wire.mlflow.traces import found_size

_UNSPECIFIED = "TRACE_STATUS_UNSPECIFIED"


class OldTrace(msgspec.Struct):
    """What the second version of the protocol says when a trace begins, and when it ends."""

    experiment_id: str | None = None
    timestamp_ms: Int64 | None = None
    status: str | int | None = None
    request_metadata: list[Tag] | None = None
    tags: list[Tag] | None = None


class OldInfo(msgspec.Struct):
    request_id: str
    experiment_id: str
    timestamp_ms: int
    execution_time_ms: int
    status: str
    request_metadata: list[TagView]
    tags: list[TagView]


class OneOldTrace(msgspec.Struct):
    trace_info: OldInfo


class OldSearch(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class FoundOldTraces(msgspec.Struct, omit_defaults=True):
    traces: list[OldInfo] = []
    next_page_token: str | None = None


def handlers(service: TracesService) -> list[Handler]:
    traces = service.traces

    @handler("POST", "/mlflow/traces", OldTrace)
    def start(request: Request, body: OldTrace) -> OneOldTrace:
        made = traces.start_old(
            request.who,
            body.experiment_id or "0",
            request_us=micros(body.timestamp_ms or 0, "timestamp_ms"),
            tags=dict(tag_pairs(body.tags)),
            metadata=dict(tag_pairs(body.request_metadata, "request_metadata")),
        )
        return OneOldTrace(_old_info(made))

    @handler("PATCH", "/mlflow/traces/{request_id}", OldTrace)
    def end(request: Request, body: OldTrace) -> OneOldTrace:
        request_id = request.path["request_id"]
        status = "STATE_UNSPECIFIED" if body.status == _UNSPECIFIED else body.status
        said = Stated(
            id=request_id,
            experiment_id="",
            request_us=micros(body.timestamp_ms or 0, "timestamp_ms"),
            duration_us=None,
            state=read_state(status, "status"),
            tags=dict(tag_pairs(body.tags)),
            metadata=dict(tag_pairs(body.request_metadata, "request_metadata")),
        )
        return OneOldTrace(_old_info(traces.end_old(request.who, request_id, said)))

    @handler("GET", "/mlflow/traces/{request_id}/info", Empty)
    def get(request: Request, _: Empty) -> OneOldTrace:
        return OneOldTrace(_old_info(traces.get(request.who, request.path["request_id"])))

    @handler("GET", "/mlflow/traces", OldSearch)
    def search(request: Request, body: OldSearch) -> FoundOldTraces:
        if not body.experiment_ids:
            raise missing("experiment_ids")
        page = traces.search(
            request.who,
            experiment_ids=body.experiment_ids,
            filter=body.filter or "",
            order_by=body.order_by or (),
            limit=found_size(body.max_results),
            cursor=body.page_token or None,
        )
        return FoundOldTraces([_old_info(one) for one in page.items], page.next_cursor)

    return [start, end, get, search]


def _old_info(trace: Trace) -> OldInfo:
    return OldInfo(
        request_id=trace.id,
        experiment_id=trace.experiment_id,
        timestamp_ms=millis(trace.request_us),
        execution_time_ms=millis(trace.duration_us or 0),
        status=_UNSPECIFIED if trace.state == "STATE_UNSPECIFIED" else trace.state,
        request_metadata=tag_views(shown(trace.metadata, SHOWN_METADATA)),
        tags=tag_views(shown(trace.tags, SHOWN_TAG)),
    )
