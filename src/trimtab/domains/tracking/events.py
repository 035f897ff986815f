"""Facts that tracking announces."""

from trimtab.kernel.events import Event


class RunStarted(Event, frozen=True, tag="tracking.run_started"):
    run_id: str
    experiment_id: str
    name: str


class RunFinished(Event, frozen=True, tag="tracking.run_finished"):
    """The run ended; the status is FINISHED, FAILED or KILLED."""

    run_id: str
    experiment_id: str
    status: str


class ModelLogged(Event, frozen=True, tag="tracking.model_logged"):
    """All files of a logged model are there."""

    model_id: str
    name: str
    run_id: str | None


class Purged(Event, frozen=True, tag="tracking.purged"):
    """These were removed for good, with everything that belongs to them."""

    refs: list[str]


class RunsImported(Event, frozen=True, tag="tracking.runs_imported"):
    """Runs were brought in from elsewhere; ``origin`` says from where. They are announced together, not one by one."""

    origin: str
    created: int
    updated: int
