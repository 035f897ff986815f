"""Models, versions, alias moves and estimates as the SDK hands them out."""

from typing import Any

import msgspec

from trimtab.kernel import refs


class Model(msgspec.Struct, frozen=True):
    """A registered model. ``latest_version`` is None where there is none yet."""

    name: str
    description: str
    latest_version: int | None
    aliases: dict[str, int]
    tags: dict[str, str]
    created_us: int
    updated_us: int


class ModelVersion(msgspec.Struct, frozen=True):
    """A registered version, which never changes; ``safe`` means that loading it runs no code from its files.

    ``verdict`` is that of the server's scan: safe, allowed, suspicious or unknown; ``strangers`` are the names that its
    files would import and that the server does not allow.
    """

    name: str
    version: int
    created_us: int
    created_by: str
    run_id: str | None
    model_id: str | None
    source: str
    description: str
    format: str
    safe: bool
    unsafe_because: tuple[str, ...]
    flavor: str | None
    digest: str
    size_bytes: int
    signature: dict[str, Any] | None
    metrics: dict[str, float | None]
    data: tuple[str, ...]
    aliases: tuple[str, ...]
    tags: dict[str, str]
    verdict: str = "unknown"
    strangers: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The address of exactly this version."""
        return f"models:/{self.name}/{self.version}"

    @property
    def ref(self) -> str:
        """The reference under which lineage and audit know it."""
        return refs.model(self.name, self.version)


class AliasMove(msgspec.Struct, frozen=True):
    """An alias that came to point elsewhere, by whom and why."""

    at_us: int
    alias: str
    version: int | None
    previous: int | None
    actor: str
    reason: str
    evidence: Any = None


class Estimate(msgspec.Struct, frozen=True):
    """A metric of a version with its interval at ``level``, None where none is known."""

    key: str
    estimate: float
    low: float | None
    high: float | None
    level: float
    method: str
    rows: int | None
    data: str
