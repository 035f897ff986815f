"""What can go wrong with batch predictions."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound, Unavailable


class BatchPredictionNotFound(NotFound):
    code = "batch-prediction-not-found"


class BatchPredictionEnded(Conflict):
    """It cannot be cancelled any more."""

    code = "batch-prediction-ended"


class RowRefused(Invalid):
    """A row cannot be predicted, and rows are not to be skipped."""

    code = "row-refused"


class BadTable(Invalid):
    """The data holds no table that can be read, or several."""

    code = "bad-table"


class ModelProcessFailed(Unavailable):
    """A model's process ended, or did not answer in time; its log says more."""

    code = "model-process-failed"


class OutputLost(Unavailable):
    """The predictions cannot be written: the disk is full, or the folder is not writable."""

    code = "output-lost"
