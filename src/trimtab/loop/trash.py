"""The trash of all that is kept in experiments and in the registry as one list, and the legal holds on both."""

from itertools import islice
from typing import Any

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import Hold
from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound, did_you_mean
from trimtab.kernel.pages import Page, check_limit, decode_cursor, encode_cursor
from trimtab.kernel.time import DAY_US
from trimtab.kernel.who import Principal

KINDS = ("experiment", "run", "logged-model", "artifact", "model", "model-version")
HELD_KINDS = ("experiment", "run", "logged-model", "model", "data")
_OF_REGISTRY = ("model",)
MOST_AT_ONCE = 1000


class TrashItem(msgspec.Struct, frozen=True):
    """Something that was deleted, and when it goes for good; ``purge_us`` is None where only people purge."""

    ref: str
    kind: str
    name: str
    deleted_us: int
    deleted_by: str
    purge_us: int | None
    held: bool
    size_bytes: int


class TrashStory:
    """What was deleted anywhere, until it is purged."""

    def __init__(
        self,
        *,
        govern: GovernService,
        data: DataService,
        tracking: TrackingService,
        registry: RegistryService,
        trash_days: int,
    ) -> None:
        self._govern = govern
        self._data = data
        self._tracking = tracking
        self._registry = registry
        self._trash_days = trash_days

    def items(
        self, who: Principal, *, kind: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[TrashItem]:
        """Return what is in the trash, what was deleted last first; raises Invalid for an unknown kind."""
        self._govern.permit(who, "read", "the trash")
        if kind is not None and kind not in KINDS:
            raise Invalid(
                f"Unknown kind {kind!r} ({', '.join(KINDS)}).{did_you_mean(kind, KINDS)}", field="kind"
            )
        size = check_limit(limit)
        before = _before(cursor) if cursor else None
        found: list[Any] = [
            *self._tracking.trash.items(who, kind=kind, before=before, limit=size + 1),
            *self._registry.trash.items(who, kind=kind, before=before, limit=size + 1),
        ]
        found.sort(key=lambda one: (one.deleted_us, one.ref), reverse=True)
        shown = [
            TrashItem(
                one.ref,
                one.kind,
                one.name,
                one.deleted_us,
                one.deleted_by,
                one.deleted_us + self._trash_days * DAY_US if self._trash_days and not one.held else None,
                one.held,
                one.size_bytes,
            )
            for one in islice(found, size)
        ]
        more = encode_cursor((shown[-1].deleted_us, shown[-1].ref)) if len(found) > size else None
        return Page(shown, more)

    def restore(self, who: Principal, ref: str) -> None:
        """Bring something back; raises NotInTrash, and Conflict or BadPath where its place is taken."""
        self._govern.permit(who, "write", ref)
        self._of(ref).restore(who, ref)

    def purge(self, who: Principal, ref: str) -> None:
        """Remove something for good before its time; raises NotInTrash and Held."""
        self._govern.permit(who, "admin", ref)
        self._of(ref).purge(who, ref)

    def _of(self, ref: str) -> Any:
        try:
            kind, _ = refs.split(ref)
        except ValueError as error:
            raise Invalid(f"{ref[:200]!r} is not a reference such as run:0af3.", field="ref") from error
        return self._registry.trash if kind in _OF_REGISTRY else self._tracking.trash

    def hold(self, who: Principal, ref: str, *, reason: str) -> Hold:
        """Keep something, and all that belongs to it, from being purged; raises Invalid and NotFound."""
        self._govern.permit(who, "admin", "holds")
        self._check_known(who, ref)
        return self._govern.hold(who, ref, reason=reason)

    def _check_known(self, who: Principal, ref: str) -> None:
        """Raise NotFound where there is no such thing, deleted or not: a hold with a slip in it would hold nothing."""
        try:
            kind, name = refs.split(ref)
        except ValueError as error:
            raise Invalid(f"{ref[:200]!r} is not a reference such as run:0af3.", field="ref") from error
        match kind:
            case "experiment":
                self._tracking.experiments.get(who, name)
            case "run":
                self._tracking.runs.head(who, name)
            case "logged-model":
                self._tracking.logged_models.get(who, name, allow_deleted=True)
            case "model":
                self._check_model(who, ref)
            case "data":
                dataset, version = refs.data_parts(ref)
                if version is not None and not version.isdigit():
                    raise Invalid(f"{version!r} is not the number of a version.", field="ref")
                self._data.get_version(who, dataset, None if version is None else int(version))
            case _:
                raise Invalid(f"Holds are on {', '.join(HELD_KINDS)}, not on a {kind}.", field="ref")

    def _check_model(self, who: Principal, ref: str) -> None:
        model, version = refs.model_parts(ref)
        try:
            if version is None:
                self._registry.get_model(who, model)
            elif version.isdigit() and len(version) < 19:
                self._registry.get_version(who, model, int(version))
            else:
                raise Invalid(f"{version!r} is not the number of a version.", field="ref")
        except NotFound:
            if not self._registry.trash.has(who, ref):
                raise


def _before(cursor: str) -> tuple[int, str]:
    deleted_us, ref = decode_cursor(cursor, 2)
    if not isinstance(deleted_us, int) or not isinstance(ref, str):
        raise Invalid("The cursor belongs to another listing.", field="cursor")
    return deleted_us, ref
