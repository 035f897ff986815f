"""What an engine that runs replicas must do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec


class ReplicaSpec(msgspec.Struct, frozen=True):
    """A version to be run: the folder of its MLmodel, and whether unsafe formats may be loaded."""

    endpoint: str
    version: str
    model_folder: Path
    allow_pickle: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.endpoint, self.version


class ReplicaStatus(msgspec.Struct, frozen=True):
    """How a replica does. ``sockets`` are where it answers, or will once it is ready."""

    state: Literal["starting", "ready", "failed"]
    pid: int | None = None
    sockets: Sequence[str] = ()
    error: str | None = None


class ReplicaTarget(Protocol):
    """Keeps replicas of versions running, restarts those that die, and tells how they do."""

    def ensure(self, spec: ReplicaSpec) -> ReplicaStatus:
        """Have the version run, and return how it does now; cheap when nothing changed."""
        ...

    def stop(self, key: tuple[str, str]) -> None:
        """End a version's replicas; they must have no request any more."""
        ...

    def running(self) -> set[tuple[str, str]]:
        """Return the versions that have a replica."""
        ...

    def log_tail(self, key: tuple[str, str], lines: int) -> list[str]:
        """Return the last lines that a replica wrote."""
        ...

    def close(self) -> None:
        """End every replica."""
        ...
