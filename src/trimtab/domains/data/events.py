"""Facts that data announces."""

from trimtab.kernel.events import Event


class DataVersionAdded(Event, frozen=True, tag="data.version_added"):
    """A new version of a dataset; its profile and validation follow."""

    name: str
    version: int
    digest: str
    files: int
    size_bytes: int


class DataValidationFinished(Event, frozen=True, tag="data.validation_finished"):
    """A version was profiled and held to its expectations: ``passed``, ``failed``, or ``none`` without a table."""

    name: str
    version: int
    state: str
    checks: int
    failed: int
    message: str
