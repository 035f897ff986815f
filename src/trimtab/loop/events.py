"""Facts that the loop announces."""

from trimtab.kernel.events import Event


class StepTaken(Event, frozen=True, tag="loop.step_taken"):
    """The timeline has a new line."""

    step: str
    line: str
    state: str
    title: str
    episode: str | None
