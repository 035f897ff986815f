"""What can go wrong with pipelines."""

from trimtab.kernel.errors import Conflict, NotFound


class PipelineNotFound(NotFound):
    code = "pipeline-not-found"


class PipelineRunNotFound(NotFound):
    code = "pipeline-run-not-found"


class StepNotFound(NotFound):
    code = "pipeline-step-not-found"


class RunEnded(Conflict):
    """A run that has ended cannot be cancelled."""

    code = "pipeline-run-ended"


class RunNotRetryable(Conflict):
    """Only a run that failed or was cancelled can be tried again."""

    code = "pipeline-run-not-retryable"
