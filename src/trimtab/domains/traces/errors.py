"""What can go wrong with traces, assessments and evaluation data sets."""

from trimtab.kernel.errors import Invalid, NotFound


class TraceNotFound(NotFound):
    code = "trace-not-found"


class SpansIncomplete(NotFound):
    """The spans of a trace are still on their way, or went elsewhere."""

    code = "spans-incomplete"


class TraceTagNotFound(NotFound):
    code = "trace-tag-not-found"


class AssessmentNotFound(NotFound):
    code = "assessment-not-found"


class EvaluationDatasetNotFound(NotFound):
    code = "evaluation-dataset-not-found"


class BadSpan(Invalid):
    """A span that is not as OpenTelemetry has it."""

    code = "bad-span"
