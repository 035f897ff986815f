"""What an engine that runs replicas must do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from trimtab.serving import routes
from trimtab.serving.isolation import Isolation
from trimtab.serving.processes import OWN, Interpreter

DEFAULT_PATIENCE_S = routes.Endpoint([]).timeout_ms / 1000


class ReplicaSpec(msgspec.Struct, frozen=True):
    """A version to be run: the folder of its MLmodel, in which Python, and what it may do there."""

    endpoint: str
    version: str
    model_folder: Path
    allow_pickle: bool
    allow_network: bool = False
    interpreter: Interpreter = OWN

    @property
    def key(self) -> tuple[str, str]:
        return self.endpoint, self.version


class ReplicaStatus(msgspec.Struct, frozen=True):
    """How a version's replicas do. ``sockets`` are where they answer, or will once they are ready."""

    state: Literal["starting", "ready", "failed"]
    pid: int | None = None
    sockets: Sequence[str] = ()
    error: str | None = None
    isolation: Isolation | None = None
    interpreter: Interpreter | None = None


class ReplicaTarget(Protocol):
    """Keeps replicas of versions running, restarts those that die, and tells how they do."""

    def ensure(
        self, spec: ReplicaSpec, *, replicas: int = 1, patience_s: float = DEFAULT_PATIENCE_S
    ) -> ReplicaStatus:
        """Have so many replicas of the version run, and return how they do now; cheap when nothing changed.

        It is ready when one of them is, or when none is wanted. ``patience_s`` is how long callers wait for an answer: a
        replica that is at one prediction for longer hangs.
        """
        ...

    def stop(self, key: tuple[str, str]) -> None:
        """End a version's replicas; they must have no request any more."""
        ...

    def running(self) -> set[tuple[str, str]]:
        """Return the versions that have a replica."""
        ...

    def specs(self) -> list[ReplicaSpec]:
        """Return what the replicas that run now were started with, one for each version."""
        ...

    def log_tail(self, key: tuple[str, str], lines: int) -> list[str]:
        """Return the last lines that a replica wrote."""
        ...

    def close(self) -> None:
        """End every replica."""
        ...
