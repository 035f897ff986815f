"""Traces of the MLflow API: taken in, read, searched, tagged, linked and deleted."""

from typing import Any

import msgspec

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.infos.model import CLEARABLE_TAG, FIXED_TAGS
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import (
    Empty,
    Int64,
    micros,
    page_size,
    required,
)
from trimtab.wire.mlflow.trace_messages import (
    Location,
    TraceInfo,
    info_view,
    stated,
    whole_view,
)

_MOST_FOUND = 500
_DEFAULT_FOUND = 100
_CLIENT = "mlflow-python-client/"
_SENDS_SPANS = (3, 4)  # the first version of the client that sends spans to the server by themselves


class TraceMessage(msgspec.Struct):
    trace_info: TraceInfo | None = None


class StartTrace(msgspec.Struct):
    trace: TraceMessage | None = None


class TraceView(msgspec.Struct):
    trace_info: TraceInfo


class OneTrace(msgspec.Struct):
    trace: TraceView


class GetTrace(msgspec.Struct):
    trace_id: str | None = None
    allow_partial: bool | None = None


class ManyTraces(msgspec.Struct):
    trace_ids: list[str] | None = None
    experiment_ids: list[str] | None = None


class FoundInfos(msgspec.Struct, omit_defaults=True):
    trace_infos: list[TraceInfo] = []


class Search(msgspec.Struct):
    locations: list[Location] | None = None
    filter: str | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class FoundTraces(msgspec.Struct, omit_defaults=True):
    traces: list[TraceInfo] = []
    next_page_token: str | None = None


class TagMessage(msgspec.Struct):
    key: str | None = None
    value: str | None = None


class DeleteTraces(msgspec.Struct):
    experiment_id: str | None = None
    max_timestamp_millis: Int64 | None = None
    max_traces: Int64 | None = None
    request_ids: list[str] | None = None


class Deleted(msgspec.Struct):
    traces_deleted: int


class LinkToRun(msgspec.Struct):
    trace_ids: list[str] | None = None
    run_id: str | None = None


class PromptVersion(msgspec.Struct):
    name: str | None = None
    version: str | int | None = None


class LinkPrompts(msgspec.Struct):
    trace_id: str | None = None
    prompt_versions: list[PromptVersion] | None = None


def handlers(service: TracesService) -> list[Handler]:
    return [*_reading(service), *_writing(service)]


def _reading(service: TracesService) -> list[Handler]:
    traces = service.traces

    @handler("GET", "/mlflow/traces/{trace_id}", Empty, version="3.0")
    def get_info(request: Request, _: Empty) -> OneTrace:
        return OneTrace(TraceView(info_view(traces.get(request.who, request.path["trace_id"]))))

    @handler("GET", "/mlflow/traces/get", GetTrace, version="3.0")
    def get(request: Request, body: GetTrace) -> dict[str, Any]:
        trace_id = required(body.trace_id, "trace_id")
        whole = traces.get_whole(request.who, trace_id, partial=body.allow_partial or False)
        return {"trace": whole_view(whole)}

    @handler("GET", "/mlflow/traces/batchGet", ManyTraces, version="3.0")
    def batch_get(request: Request, body: ManyTraces) -> dict[str, Any]:
        found = traces.find_whole(request.who, _ids(body), experiment_ids=body.experiment_ids)
        return {"traces": [whole_view(one) for one in found]} if found else {}

    @handler("POST", "/mlflow/traces/batchGetInfos", ManyTraces, version="3.0")
    def batch_get_infos(request: Request, body: ManyTraces) -> FoundInfos:
        found = traces.find(request.who, _ids(body), experiment_ids=body.experiment_ids)
        return FoundInfos([info_view(one) for one in found])

    @handler("POST", "/mlflow/traces/search", Search, version="3.0")
    def search(request: Request, body: Search) -> FoundTraces:
        if body.locations is None:
            raise missing("locations")
        experiment_ids = [
            one.mlflow_experiment.experiment_id or ""
            for one in body.locations
            if one.mlflow_experiment is not None
        ]
        page = traces.search(
            request.who,
            experiment_ids=experiment_ids,
            filter=body.filter or "",
            order_by=body.order_by or (),
            limit=found_size(body.max_results),
            cursor=body.page_token or None,
        )
        return FoundTraces([info_view(one) for one in page.items], page.next_cursor)

    return [get_info, get, batch_get, batch_get_infos, search]


def _writing(service: TracesService) -> list[Handler]:
    traces = service.traces

    @handler("POST", "/mlflow/traces", StartTrace, version="3.0")
    def start(request: Request, body: StartTrace) -> OneTrace:
        if body.trace is None or body.trace.trace_info is None:
            raise missing("trace")
        follow = _spans_follow(request.headers.get("user-agent", ""))
        made = traces.state(request.who, stated(body.trace.trace_info), spans_follow=follow)
        return OneTrace(TraceView(info_view(made)))

    def set_tag(request: Request, body: TagMessage) -> None:
        key = required(body.key, "key")
        if key in FIXED_TAGS:
            raise Invalid(f"Tag '{key}' is immutable and cannot be set on a trace.", field="key")
        traces.set_tag(request.who, request.path["trace_id"], key, body.value or "")

    def delete_tag(request: Request, body: TagMessage) -> None:
        key = required(body.key, "key")
        if key in FIXED_TAGS and key != CLEARABLE_TAG:
            raise Invalid(f"Tag '{key}' is immutable and cannot be deleted on a trace.", field="key")
        traces.delete_tag(request.who, request.path["trace_id"], key)

    def delete(request: Request, body: DeleteTraces) -> Deleted:
        until = body.max_timestamp_millis
        given = (until is not None or body.max_traces is not None, bool(body.request_ids))
        if given == (True, True) and until is not None:
            raise Invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
        if until is None and not body.request_ids:
            raise Invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
        if body.request_ids and body.max_traces is not None:
            raise Invalid("`max_traces` can't be specified if `trace_ids` is specified.")
        if body.max_traces is not None and body.max_traces <= 0:
            raise Invalid(f"`max_traces` must be a positive integer, received {body.max_traces}.")
        deleted = traces.delete(
            request.who,
            required(body.experiment_id, "experiment_id"),
            trace_ids=body.request_ids or (),
            until_us=None if until is None else micros(until, "max_timestamp_millis"),
            most=body.max_traces,
        )
        return Deleted(deleted)

    @handler("POST", "/mlflow/traces/link-to-run", LinkToRun)
    def link_to_run(request: Request, body: LinkToRun) -> None:
        if body.trace_ids is None:
            raise missing("trace_ids")
        traces.link_to_run(request.who, required(body.run_id, "run_id"), body.trace_ids)

    @handler("POST", "/mlflow/traces/link-prompts", LinkPrompts)
    def link_prompts(request: Request, body: LinkPrompts) -> None:
        if body.prompt_versions is None:
            raise missing("prompt_versions")
        prompts = [f"{one.name or ''}/{_version(one.version)}" for one in body.prompt_versions]
        traces.link_prompts(request.who, required(body.trace_id, "trace_id"), prompts)

    return [
        start,
        *(
            handler("PATCH", "/mlflow/traces/{trace_id}/tags", TagMessage, version=one)(set_tag)
            for one in ("2.0", "3.0")
        ),
        *(
            handler("DELETE", "/mlflow/traces/{trace_id}/tags", TagMessage, version=one)(delete_tag)
            for one in ("2.0", "3.0")
        ),
        *(
            handler("POST", "/mlflow/traces/delete-traces", DeleteTraces, version=one)(delete)
            for one in ("2.0", "3.0")
        ),
        link_to_run,
        link_prompts,
    ]


def _ids(body: ManyTraces) -> list[str]:
    if body.trace_ids is None:
        raise missing("trace_ids")
    return body.trace_ids


def found_size(given: int | None) -> int:
    """Return how many traces a page holds; raises Invalid above the most."""
    if given is not None and given > _MOST_FOUND:
        raise Invalid(
            f"Invalid value {given} for parameter 'max_results' supplied: Must be less than or equal to {_MOST_FOUND}.",
            field="max_results",
        )
    return page_size(given, default=_DEFAULT_FOUND, most=_MOST_FOUND)


def _spans_follow(agent: str) -> bool:
    """Whether a client sends spans to ``/v1/traces`` as well, so that it need not be asked for them otherwise."""
    major, _, rest = agent.removeprefix(_CLIENT).partition(".")
    minor = rest.partition(".")[0]
    return (
        agent.startswith(_CLIENT)
        and major.isdecimal()
        and minor.isdecimal()
        and (int(major[:4]), int(minor[:4])) >= _SENDS_SPANS
    )


def _version(given: str | int | None) -> int:
    try:
        return int(given or 0)
    except ValueError as error:
        raise Invalid(
            f"Invalid value {given!r} for parameter 'version' supplied.", field="prompt_versions"
        ) from error
