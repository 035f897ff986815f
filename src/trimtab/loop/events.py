"""Facts that the loop announces."""

from trimtab.kernel.events import Event


class StepTaken(Event, tag="loop.step_taken"):
    """The timeline has a new line."""

    step: str
    kind: str
    state: str
    title: str
    episode: str | None
