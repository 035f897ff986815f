"""What can go wrong with monitors."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound


class MonitorNotFound(NotFound):
    code = "monitor-not-found"


class MonitorExists(Conflict):
    code = "monitor-exists"


class FeatureNotFound(NotFound):
    code = "feature-not-found"


class PredictionNotFound(NotFound):
    """No prediction has this id, or it is not taken in yet, or its raw record has expired."""

    code = "prediction-not-found"


class BadReference(Invalid):
    """The reference data cannot serve as one."""

    code = "bad-reference"
