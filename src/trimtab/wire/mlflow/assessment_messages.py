"""The messages of assessments, in the JSON that protobuf makes of them."""

import json
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
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.wire.mlflow.protobuf import numbers, read_stamp, stamp, wrong

_JSON_FORMAT = "JSON_FORMAT"


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
        numbers(value)  # what is a number of its own is shown as one
    else:
        value = None if said.value is msgspec.UNSET else numbers(said.value)
    if value is None:
        raise Invalid("The `value` field must be specified.", field="expectation")
    return value


def _source_type(source: SourceMessage | None) -> Source:
    given = source.source_type if source else None
    if given is None:
        return SOURCES[0]
    if isinstance(given, int):
        if 0 <= given < len(SOURCES):
            return SOURCES[given]
        raise wrong(given, "source_type")
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
