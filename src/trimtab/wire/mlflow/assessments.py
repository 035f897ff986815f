"""Assessments of the MLflow API."""

import msgspec

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.assessments.model import Changes
from trimtab.infra.http import Request
from trimtab.wire.mlflow.assessment_messages import (
    AssessmentMessage,
    assessed,
    assessment_view,
    read_assessment,
)
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import Empty


class Write(msgspec.Struct):
    assessment: AssessmentMessage | None = None
    update_mask: str | None = None


class OneAssessment(msgspec.Struct):
    assessment: AssessmentMessage


def handlers(service: TracesService) -> list[Handler]:
    assessments = service.assessments

    @handler("POST", "/mlflow/traces/{trace_id}/assessments", Write, version="3.0")
    def create(request: Request, body: Write) -> OneAssessment:
        if body.assessment is None:
            raise missing("assessment")
        given = read_assessment(body.assessment, request.path["trace_id"])
        return OneAssessment(assessment_view(assessments.create(request.who, given)))

    @handler("GET", "/mlflow/traces/{trace_id}/assessments/{assessment_id}", Empty, version="3.0")
    def get(request: Request, _: Empty) -> OneAssessment:
        found = assessments.get(request.who, request.path["trace_id"], request.path["assessment_id"])
        return OneAssessment(assessment_view(found))

    @handler("PATCH", "/mlflow/traces/{trace_id}/assessments/{assessment_id}", Write, version="3.0")
    def update(request: Request, body: Write) -> OneAssessment:
        if body.assessment is None:
            raise missing("assessment")
        if body.update_mask is None:
            raise missing("update_mask")
        changes = _changes(body.assessment, body.update_mask)
        trace_id, assessment_id = request.path["trace_id"], request.path["assessment_id"]
        return OneAssessment(
            assessment_view(assessments.update(request.who, trace_id, assessment_id, changes))
        )

    @handler("DELETE", "/mlflow/traces/{trace_id}/assessments/{assessment_id}", Empty, version="3.0")
    def delete(request: Request, _: Empty) -> None:
        assessments.delete(request.who, request.path["trace_id"], request.path["assessment_id"])

    return [create, get, update, delete]


def _changes(message: AssessmentMessage, mask: str) -> Changes:
    """Return what the fields named in a mask such as ``assessmentName,feedback`` are to become."""
    named = {field.strip() for field in mask.split(",")}
    changes = Changes(
        name=(message.assessment_name or "") if named & {"assessmentName", "assessment_name"} else None,
        rationale=(message.rationale or "") if "rationale" in named else None,
        metadata=(message.metadata or {}) if "metadata" in named else None,
    )
    if named & {"feedback", "expectation"}:
        kind, value, error = assessed(message)
        changes = msgspec.structs.replace(changes, kind=kind, value=value, error=error)
    return changes
