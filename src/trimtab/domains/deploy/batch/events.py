"""Facts that batch predictions announce."""

from trimtab.kernel.events import Event


class BatchPredictionStarted(Event, frozen=True, tag="deploy.batch_prediction_started"):
    """A registered version is to predict a data version."""

    batch: str
    model: str
    version: int
    data: str


class BatchPredictionFinished(Event, frozen=True, tag="deploy.batch_prediction_finished"):
    """It succeeded, failed or was cancelled. ``output`` is the data version with the predictions, where there is one."""

    batch: str
    model: str
    version: int
    data: str
    state: str
    output: str | None
    rows: int
    refused: int
    error: str | None
