"""What a place that runs come from can do."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from trimtab.moving.model import Experiment, Loaded, RegisteredModel, Stub, Tell


class Source(Protocol):
    """A foreign store, read only. What cannot be read is told and left out; the rest goes on."""

    origin: str
    """Where it is, as people may see it: without passwords."""

    def experiments(self, tell: Tell, /, *, deleted: bool) -> Iterator[Experiment]:
        """Yield experiments, those in the trash only where ``deleted`` says so."""
        ...

    def runs(self, experiment: Experiment, tell: Tell, /, *, deleted: bool) -> Iterator[Stub]:
        """Yield an experiment's runs unread, each with what tells whether it has changed."""
        ...

    def load(self, experiment: Experiment, stubs: Sequence[Stub], tell: Tell, /) -> Iterator[Loaded]:
        """Yield runs with everything but the bytes of their files."""
        ...

    def logged_models(self, experiment: Experiment, tell: Tell, /, *, deleted: bool) -> Iterator[Stub]:
        """Yield an experiment's logged models unread."""
        ...

    def load_models(self, stubs: Sequence[Stub], tell: Tell, /) -> Iterator[Loaded]:
        """Yield logged models with everything but the bytes of their files."""
        ...

    def registered_models(self, tell: Tell, /) -> Iterator[RegisteredModel]:
        """Yield registered models with their versions, whose sources name what the runs and logged models own."""
        ...

    def close(self) -> None: ...
