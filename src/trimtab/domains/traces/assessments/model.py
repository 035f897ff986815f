"""What an assessment is, and what can be counted of it."""

import json
import math
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid

Kind = Literal["feedback", "expectation", "issue"]
Source = Literal["SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE"]
SOURCES: tuple[Source, ...] = ("SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE")

RUN_KEY = "mlflow.assessment.sourceRunId"
SESSION_MARK = '"mlflow.trace.session":'
MOST_NAME = 1000
MOST_ID = 250
MOST_VALUE = 1_000_000


class AssessmentError(msgspec.Struct, frozen=True):
    """Why there is no value."""

    error_code: str
    error_message: str | None = None
    stack_trace: str | None = None


class Assessment(msgspec.Struct, frozen=True):
    """What someone or something says of a trace, or of one of its spans.

    ``value`` is any JSON value; of an issue it is ``{"issue_name": ...}``. ``valid`` is False once another one
    overrides it. An ``id`` of "" is given by the server.
    """

    id: str
    trace_id: str
    name: str
    kind: Kind
    value: Any
    error: AssessmentError | None
    source_type: Source
    source_id: str | None
    run_id: str | None
    span_id: str | None
    rationale: str | None
    overrides: str | None
    valid: bool
    metadata: dict[str, str] | None
    created_us: int
    updated_us: int


class Changes(msgspec.Struct, frozen=True):
    """What an update changes; None leaves as it is. ``value`` and ``error`` count only with ``kind``."""

    name: str | None = None
    kind: Kind | None = None
    value: Any = None
    error: AssessmentError | None = None
    rationale: str | None = None
    metadata: dict[str, str] | None = None


def check(assessment: Assessment) -> Assessment:
    """Return it; raises Invalid where a part is too long or missing."""
    for what, text, most in (
        ("assessment_name", assessment.name, MOST_NAME),
        ("assessment_id", assessment.id, MOST_ID),
        ("source_id", assessment.source_id or "", MOST_NAME),
        ("run_id", assessment.run_id or "", MOST_ID),
        ("span_id", assessment.span_id or "", MOST_ID),
        ("overrides", assessment.overrides or "", MOST_ID),
    ):
        if len(text) > most:
            raise Invalid(f"'{what}' exceeds the maximum length of {most} characters", field=what)
    if len(written(assessment.value)) > MOST_VALUE:
        raise Invalid(f"The value of an assessment is longer than {MOST_VALUE} characters.", field="value")
    return assessment


def changed(before: Assessment, changes: Changes, *, now_us: int) -> Assessment:
    """Return the assessment after an update; raises Invalid where a feedback would become an expectation."""
    if changes.kind not in (None, before.kind):
        raise Invalid(
            f"Cannot update {changes.kind} value on {'an Expectation' if before.kind == 'expectation' else 'a Feedback'}"
            " assessment.",
            field=changes.kind,
        )
    metadata = before.metadata
    if metadata or changes.metadata:
        metadata = {**(metadata or {}), **(changes.metadata or {})}
    with_value = changes.kind is not None
    return msgspec.structs.replace(
        before,
        name=before.name if changes.name is None else changes.name,
        value=changes.value if with_value else before.value,
        error=changes.error if with_value else before.error,
        rationale=before.rationale if changes.rationale is None else changes.rationale,
        metadata=metadata,
        updated_us=now_us,
    )


def written(value: Any) -> str:
    """Return a value as the JSON text in which searches look."""
    return json.dumps(value)


def number_of(value: Any) -> tuple[float | None, bool]:
    """Return what can be averaged of a value, and whether it is a number itself.

    >>> number_of(0.5), number_of(True), number_of("yes"), number_of("maybe")
    ((0.5, True), (1.0, False), (1.0, False), (None, False))
    """
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None, False
        return (number, True) if math.isfinite(number) else (None, False)
    if isinstance(value, str) and (said := value.strip().lower()) in ("yes", "no"):
        return float(said == "yes"), False
    return None, False
