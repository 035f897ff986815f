"""The messages of traces, in the JSON that protobuf makes of them."""

from typing import Any

import msgspec

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
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.assessment_messages import AssessmentMessage, assessment_view, read_assessment
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.protobuf import duration, read_duration, read_stamp, stamp, wrong
from trimtab.wire.mlflow.span_messages import span_view

_LOCATIONS = {0: "TRACE_LOCATION_TYPE_UNSPECIFIED", 1: "MLFLOW_EXPERIMENT", 2: "INFERENCE_TABLE"}


class ExperimentLocation(msgspec.Struct, omit_defaults=True):
    experiment_id: str | None = None


class Location(msgspec.Struct, omit_defaults=True):
    type: str | int | None = None
    mlflow_experiment: ExperimentLocation | None = None


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
    raise wrong(value, field)


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
