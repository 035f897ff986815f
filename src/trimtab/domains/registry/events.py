"""What the registry announces."""

from typing import Literal

from trimtab.kernel.events import Event


class ModelCreated(Event, frozen=True, tag="registry.model_created"):
    name: str


class ModelRenamed(Event, frozen=True, tag="registry.model_renamed"):
    old_name: str
    name: str


class ModelDeleted(Event, frozen=True, tag="registry.model_deleted"):
    name: str


class ModelVersionCreated(Event, frozen=True, tag="registry.model_version_created"):
    name: str
    version: int
    run_id: str | None
    model_id: str | None
    format: str
    safe: bool
    digest: str


class ModelVersionDeleted(Event, frozen=True, tag="registry.model_version_deleted"):
    name: str
    version: int


class StageChanged(Event, frozen=True, tag="registry.stage_changed"):
    name: str
    version: int
    stage: str
    previous: str


class AliasMoved(Event, frozen=True, tag="registry.alias_moved"):
    """``previous`` is None for a new alias, ``version`` is None for one that was removed."""

    name: str
    alias: str
    version: int | None
    previous: int | None
    reason: str


class GateDecided(Event, frozen=True, tag="registry.gate_decided"):
    name: str
    version: int
    gate_id: str
    verdict: Literal["passed", "failed"]
    champion: int | None
    failed_checks: list[str]


class ModelRestored(Event, frozen=True, tag="registry.model_restored"):
    """A model with its versions, or one version, came back from the trash."""

    name: str
    version: int | None
    versions: int


class ModelCompiled(Event, frozen=True, tag="registry.model_compiled"):
    """It is known whether a version's compiled form may serve; the times are those of one row."""

    name: str
    version: int
    state: Literal["compiled", "differs", "unsupported", "failed"]
    message: str
    native_us: float | None
    compiled_us: float | None


class ModelEnvironmentSettled(Event, frozen=True, tag="registry.model_environment_settled"):
    """It is known in which Python a version is loaded: the server's own, or the environment ``key``; or why in none."""

    name: str
    version: int
    state: Literal["own", "ready", "failed", "pending"]
    message: str
    key: str
