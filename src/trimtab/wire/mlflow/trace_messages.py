"""The messages of traces and assessments, in the JSON that protobuf makes of them."""

import base64
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from trimtab.domains.traces.assessments.model import (
    RUN_KEY,
    SOURCES,
    Assessment,
    AssessmentError,
    Kind,
    Source,
)
from trimtab.domains.traces.infos.model import (
    MOST_KEY,
    SHOWN_METADATA,
    SHOWN_TAG,
    STATES,
    State,
    Stated,
    Trace,
)
from trimtab.domains.traces.infos.service import WholeTrace
from trimtab.domains.traces.spans.model import Span, loads_or_text
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.wire.mlflow.errors import missing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")
_STAMP = re.compile(r"(.*?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})")
_MOST_SECONDS = 253_402_300_799
_JSON_FORMAT = "JSON_FORMAT"
_LOCATIONS = {0: "TRACE_LOCATION_TYPE_UNSPECIFIED", 1: "MLFLOW_EXPERIMENT", 2: "INFERENCE_TABLE"}


class ExperimentLocation(msgspec.Struct, omit_defaults=True):
    experiment_id: str | None = None


class Location(msgspec.Struct, omit_defaults=True):
    type: str | int | None = None
    mlflow_experiment: ExperimentLocation | None = None


class SourceMessage(msgspec.Struct, omit_defaults=True):
    source_type: str | int | None = None
    source_id: str | None = None


class ErrorMessage(msgspec.Struct, omit_defaults=True):
    error_code: str | None = None
    error_message: str | None = None
    stack_trace: str | None = None


class FeedbackMessage(msgspec.Struct, omit_defaults=True):
    value: Any = msgspec.UNSET
    error: ErrorMessage | None = None


class Serialized(msgspec.Struct):
    serialization_format: str | None = None
    value: str | None = None


class ExpectationMessage(msgspec.Struct, omit_defaults=True):
    value: Any = msgspec.UNSET
    serialized_value: Serialized | None = None


class IssueMessage(msgspec.Struct, omit_defaults=True):
    issue_name: str | None = None


class AssessmentMessage(msgspec.Struct, omit_defaults=True):
    """An assessment, as it comes and as it goes."""

    assessment_id: str | None = None
    assessment_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    source: SourceMessage | None = None
    create_time: str | None = None
    last_update_time: str | None = None
    feedback: FeedbackMessage | None = None
    expectation: ExpectationMessage | None = None
    issue: IssueMessage | None = None
    rationale: str | None = None
    error: ErrorMessage | None = None
    metadata: dict[str, str] | None = None
    overrides: str | None = None
    valid: bool | None = None


class TraceInfo(msgspec.Struct, omit_defaults=True):
    """A trace without its spans, as it comes and as it goes."""

    trace_id: str | None = None
    client_request_id: str | None = None
    trace_location: Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    execution_duration: str | None = None
    state: str | int | None = None
    trace_metadata: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    assessments: list[AssessmentMessage] | None = None


def stamp(us: int) -> str:
    """Return a time as protobuf writes it: in UTC, with no more digits than it needs, in groups of three.

    >>> stamp(1_500_000), stamp(0)
    ('1970-01-01T00:00:01.500Z', '1970-01-01T00:00:00Z')
    """
    seconds, rest = divmod(us, 1_000_000)
    moment = _EPOCH + timedelta(seconds=max(-62_135_596_800, min(_MOST_SECONDS, seconds)))
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S').rjust(19, '0')}{_fraction(rest)}Z"


def duration(us: int) -> str:
    """Return a duration as protobuf writes it, such as ``1.500s``."""
    seconds, rest = divmod(abs(us), 1_000_000)
    return f"{'-' if us < 0 else ''}{seconds}{_fraction(rest)}s"


def _fraction(us: int) -> str:
    if not us:
        return ""
    return f".{us // 1000:03}" if us % 1000 == 0 else f".{us:06}"


def read_stamp(text: str | None, field: str) -> int | None:
    """Return whole milliseconds, as microseconds, of a written time; raises Invalid."""
    if text is None:
        return None
    found = _STAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise _wrong(text, field) from error
    return seconds * 1_000_000 + int((found[2] or "").ljust(3, "0")[:3] or 0) * 1000


def read_duration(text: str | None, field: str) -> int | None:
    """Return whole milliseconds, as microseconds, of a written duration; raises Invalid."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or int(found[2]) > 315_576_000_000:
        raise _wrong(text, field)
    us = int(found[2]) * 1_000_000 + int((found[3] or "").ljust(3, "0")[:3]) * 1000
    return -us if found[1] else us


def _wrong(value: Any, field: str) -> Invalid:
    return Invalid(f"Invalid value {json.dumps(value)[:200]} for parameter '{field}' supplied.", field=field)


def experiment_of(location: Location | None) -> str:
    """Return the experiment that a location names; raises Invalid where it names none."""
    if location is None or location.mlflow_experiment is None:
        raise missing("trace_location.mlflow_experiment")
    kind = _LOCATIONS.get(location.type or 0, "") if isinstance(location.type, int) else location.type
    if kind != "MLFLOW_EXPERIMENT":
        raise Invalid(
            f"Trace location type TraceLocationType.{kind or _LOCATIONS[0]} does not match the provided location"
            f" MlflowExperimentLocation(experiment_id='{location.mlflow_experiment.experiment_id}').",
            field="trace_location",
        )
    return location.mlflow_experiment.experiment_id or ""


def read_state(value: str | int | None, field: str = "state") -> State:
    """Return a state by its name or number; raises Invalid."""
    if value is None:
        return "STATE_UNSPECIFIED"
    if isinstance(value, int):
        if 0 <= value < len(STATES):
            return STATES[value]
    else:
        for state in STATES:
            if state == value:
                return state
    raise _wrong(value, field)


def stated(info: TraceInfo) -> Stated:
    """Return what a client says of a trace; raises Invalid."""
    return Stated(
        id=info.trace_id or "",
        experiment_id=experiment_of(info.trace_location),
        request_us=read_stamp(info.request_time, "request_time") or 0,
        duration_us=read_duration(info.execution_duration, "execution_duration"),
        state=read_state(info.state),
        client_request_id=info.client_request_id,
        request_preview=info.request_preview,
        response_preview=info.response_preview,
        tags=info.tags or {},
        metadata=info.trace_metadata or {},
        assessments=[read_assessment(one, info.trace_id or "") for one in info.assessments or ()],
    )


def read_assessment(message: AssessmentMessage, trace_id: str) -> Assessment:
    """Return an assessment; raises Invalid where it says nothing, or says it wrongly."""
    kind, value, error = assessed(message)
    now = now_us() // 1000 * 1000
    metadata = message.metadata or None
    return Assessment(
        id=message.assessment_id or "",
        trace_id=trace_id,
        name=message.assessment_name or "",
        kind=kind,
        value=value,
        error=error,
        source_type=_source_type(message.source),
        source_id=(message.source.source_id or None) if message.source else None,
        run_id=metadata.get(RUN_KEY) if metadata else None,
        span_id=message.span_id or None,
        rationale=(message.rationale or None) if kind != "expectation" else None,
        overrides=(message.overrides or None) if kind == "feedback" else None,
        valid=True,
        metadata=metadata,
        created_us=read_stamp(message.create_time, "create_time") or now,
        updated_us=read_stamp(message.last_update_time, "last_update_time") or now,
    )


def assessed(message: AssessmentMessage) -> tuple[Kind, Any, AssessmentError | None]:
    """Return what an assessment says; raises Invalid."""
    match message:
        case AssessmentMessage(expectation=ExpectationMessage() as said):
            return "expectation", _expected(said), None
        case AssessmentMessage(feedback=FeedbackMessage() as said):
            error = said.error or message.error
            return (
                "feedback",
                None if said.value is msgspec.UNSET else numbers(said.value),
                AssessmentError(error.error_code or "", error.error_message, error.stack_trace)
                if error
                else None,
            )
        case AssessmentMessage(issue=IssueMessage() as said):
            return "issue", {"issue_name": said.issue_name or ""}, None
        case _:
            raise Invalid("Unknown assessment type: None", field="assessment")


def _expected(said: ExpectationMessage) -> Any:
    if said.serialized_value is not None:
        if said.serialized_value.serialization_format != _JSON_FORMAT:
            raise Invalid(
                f"Unknown serialization format: {said.serialized_value.serialization_format}. Only JSON_FORMAT is"
                " supported.",
                field="expectation",
            )
        try:
            value = msgspec.json.decode((said.serialized_value.value or "").encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise Invalid("The value of the expectation is no JSON.", field="expectation") from error
    else:
        value = None if said.value is msgspec.UNSET else numbers(said.value)
    if value is None:
        raise Invalid("The `value` field must be specified.", field="expectation")
    return value


def numbers(value: Any) -> Any:
    """Return a JSON value in which numbers are floating-point ones, as protobuf keeps them."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, list):
        return [numbers(one) for one in value]
    if isinstance(value, dict):
        return {key: numbers(one) for key, one in value.items()}
    return value


def _source_type(source: SourceMessage | None) -> Source:
    given = source.source_type if source else None
    if given is None:
        return SOURCES[0]
    if isinstance(given, int):
        if 0 <= given < len(SOURCES):
            return SOURCES[given]
        raise _wrong(given, "source_type")
    for one in SOURCES:
        if one == given:
            return one
    return SOURCES[0]


def assessment_view(one: Assessment) -> AssessmentMessage:
    error = (
        ErrorMessage(one.error.error_code, one.error.error_message, one.error.stack_trace)
        if one.error
        else None
    )
    is_plain = isinstance(one.value, bool | int | float | str)
    return AssessmentMessage(
        assessment_id=one.id,
        assessment_name=one.name,
        trace_id=one.trace_id,
        span_id=one.span_id,
        source=SourceMessage(one.source_type, one.source_id),
        create_time=stamp(one.created_us),
        last_update_time=stamp(one.updated_us),
        feedback=FeedbackMessage(numbers(one.value), error) if one.kind == "feedback" else None,
        expectation=(
            ExpectationMessage(numbers(one.value))
            if is_plain
            else ExpectationMessage(serialized_value=Serialized(_JSON_FORMAT, json.dumps(one.value)))
        )
        if one.kind == "expectation"
        else None,
        issue=IssueMessage(one.value.get("issue_name")) if one.kind == "issue" else None,
        rationale=one.rationale,
        metadata=one.metadata,
        overrides=one.overrides,
        valid=one.valid,
    )


def info_view(trace: Trace) -> TraceInfo:
    return TraceInfo(
        trace_id=trace.id,
        client_request_id=trace.client_request_id,
        trace_location=Location("MLFLOW_EXPERIMENT", ExperimentLocation(trace.experiment_id)),
        request_preview=trace.request_preview,
        response_preview=trace.response_preview,
        request_time=stamp(trace.request_us),
        execution_duration=None if trace.duration_us is None else duration(trace.duration_us),
        state=trace.state,
        trace_metadata=shown(trace.metadata, SHOWN_METADATA) or None,
        tags=shown(trace.tags, SHOWN_TAG) or None,
        assessments=[assessment_view(one) for one in trace.assessments] or None,
    )


def shown(pairs: dict[str, str], most: int) -> dict[str, str]:
    """Return pairs as answers show them: long values cut."""
    return {key[:MOST_KEY]: value[:most] for key, value in pairs.items()}


def whole_view(whole: WholeTrace) -> dict[str, Any]:
    return {"trace_info": info_view(whole.info), "spans": [span_view(span) for span in whole.spans]}


def span_view(span: Span) -> dict[str, Any]:
    """Return a span as OpenTelemetry's JSON for protobuf shows it, with MLflow's names of fields."""
    view: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": span.name,
        "start_time_unix_nano": span.start_time_unix_nano,
        "status": {},
    }
    if span.parent_span_id:
        view["parent_span_id"] = span.parent_span_id
    if span.ended_ns:
        view["end_time_unix_nano"] = span.ended_ns
    if span.outcome != "UNSET":
        view["status"]["code"] = span.status.code
    if span.status.message:
        view["status"]["message"] = span.status.message
    if span.attributes:
        view["attributes"] = [
            {"key": key, **_held(loads_or_text(text))} for key, text in span.attributes.items()
        ]
    if span.events:
        view["events"] = [
            {
                "time_unix_nano": event.time_unix_nano,
                "name": event.name,
                **_attributes(event.attributes),
            }
            for event in span.events
        ]
    if span.links:
        view["links"] = [
            {
                "trace_id": _base64(link.trace_id.removeprefix("tr-")),
                "span_id": _base64(link.span_id),
                **_attributes(link.attributes or {}),
            }
            for link in span.links
        ]
    return view


def _attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    if not attributes:
        return {}
    return {"attributes": [{"key": key, **_held(value)} for key, value in attributes.items()]}


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _held(value: Any) -> dict[str, Any]:
    return {} if value is None else {"value": _any_value(value)}


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        inside = [_any_value(one) for one in value]
        return {"array_value": {"values": inside} if inside else {}}
    if isinstance(value, dict):
        pairs = [{"key": str(key), **_held(one)} for key, one in value.items()]
        return {"kvlist_value": {"values": pairs} if pairs else {}}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"int_value": value}
    return {"double_value": _double(value)} if isinstance(value, int | float) else {}


def _double(value: float) -> float | str:
    """Return a number as protobuf writes it: what is not finite as text."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
