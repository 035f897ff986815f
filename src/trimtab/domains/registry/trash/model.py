"""What lies in the trash of the registry."""

from typing import Any, NamedTuple

import msgspec

Snapshot = dict[str, list[list[Any]]]
"""The rows of something by table."""


class Row(msgspec.Struct, frozen=True):
    """A deleted model, or a deleted version of one, as it is listed."""

    ref: str
    kind: str
    model: str
    version: int | None
    deleted_us: int
    deleted_by: str
    versions: int
    files: int
    size_bytes: int

    @property
    def name(self) -> str:
        return self.model if self.version is None else f"{self.model} version {self.version}"


class Trashed(msgspec.Struct, frozen=True):
    """Something that was deleted: when, by whom, and whether a legal hold keeps it from being purged."""

    ref: str
    kind: str
    name: str
    deleted_us: int
    deleted_by: str
    held: bool
    size_bytes: int


class Purged(NamedTuple):
    """How much went for good."""

    models: int
    versions: int
    files: int
    size_bytes: int
