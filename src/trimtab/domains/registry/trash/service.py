"""Keeps deleted models and versions, lists them, brings them back, and removes them for good."""

from collections.abc import Iterator

from trimtab.domains.govern import GovernService
from trimtab.domains.govern.errors import Held
from trimtab.domains.registry import store as registry_store
from trimtab.domains.registry.aliases import store as aliases
from trimtab.domains.registry.errors import ModelExists, ModelNotFound, NotInTrash
from trimtab.domains.registry.events import ModelRestored
from trimtab.domains.registry.trash import store
from trimtab.domains.registry.trash.model import Purged, Row, Snapshot, Trashed
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


def keep(tx: Tx, who: Principal, name: str, *, version: int | None, now_us: int) -> None:
    """Copy a model or version into the trash; its rows are still to be deleted, in the same transaction."""
    snapshot = store.collect(tx, model=name, version=version)
    versions = snapshot["registry_version"]
    if not versions and version is not None:
        return
    ref = refs.model(name, version)
    if store.item(tx, ref=ref) is not None:  # the name was used and deleted once more
        ref = f"{ref}~{new_id()}"
    files = snapshot["registry_version_file"]
    row = Row(
        ref=ref,
        kind="model" if version is None else "model-version",
        model=name,
        version=version,
        deleted_us=now_us,
        deleted_by=who.id,
        versions=len(versions),
        files=len(files),
        size_bytes=sum(file[-1] for file in files),
    )
    if version is None:
        found = registry_store.model(tx, name=name)
        snapshot["description"] = [
            [found.description if found else "", found.created_us if found else now_us]
        ]
    store.put(tx, row, snapshot)


class RegistryTrash:
    """Deleted models and versions, until they are purged."""

    def __init__(self, db: Database, bus: Bus, govern: GovernService) -> None:
        self._db = db
        self._bus = bus
        self.govern = govern

    def items(
        self, who: Principal, *, kind: str | None = None, before: tuple[int, str] | None = None, limit: int
    ) -> list[Trashed]:
        """Return what was deleted, the newest first; ``before`` is the time and reference of the last one seen."""
        self.govern.permit(who, "read", "the trash")
        where = Where().equals(kind=kind)
        if before is not None:
            where.add(
                "deleted_us < :us or (deleted_us = :us and ref < :before_ref)",
                us=before[0],
                before_ref=before[1],
            )
        with self._db.read() as tx:
            rows = store.items(tx, where=where, limit=limit)
            held = self.govern.held(tx)
        return [
            Trashed(
                row.ref,
                row.kind,
                row.name,
                row.deleted_us,
                row.deleted_by,
                _is_held(row, held),
                row.size_bytes,
            )
            for row in rows
        ]

    def has(self, who: Principal, ref: str) -> bool:
        """Whether something is in the trash, by itself or as a version of a deleted model."""
        self.govern.permit(who, "read", "the trash")
        model, version = refs.model_parts(ref)
        with self._db.read() as tx:
            if store.item(tx, ref=ref) is not None:
                return True
            whole = refs.model(model)
            rows = store.collected_versions(tx, ref=whole) if version is not None else []
        return any(str(number) == version for number in rows)

    def due(self, who: Principal, *, before_us: int) -> Iterator[str]:
        """Yield the references of what was deleted before a moment."""
        self.govern.permit(who, "admin", "the trash")
        after = ""
        while True:
            with self._db.read() as tx:
                found = store.due(tx, before_us=before_us, after=after, limit=1000)
            if not found:
                return
            yield from found
            after = found[-1]

    def would_purge(self, who: Principal, ref: str) -> Purged | None:
        """Return what purging something would remove, None where a hold keeps it; raises NotInTrash."""
        self.govern.permit(who, "admin", "the trash")
        with self._db.read() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
            return None if _is_held(row, self.govern.held(tx)) else _purged(row)

    def purge(self, who: Principal, ref: str) -> Purged:
        """Remove something for good; raises NotInTrash, and Held where a legal hold keeps it."""
        self.govern.permit(who, "admin", ref)
        with self._db.write() as tx:
            held = self.govern.held(tx, purging=True)
            row = _in_trash(store.item(tx, ref=ref), ref)
            if _is_held(row, held):
                raise Held(f"A legal hold keeps {ref} from being purged.")
            if not store.take(tx, ref=ref):
                raise _not_in_trash(ref)
            gone = _purged(row)
            self.govern.audit(
                tx, who, "registry.purge", ref, detail={"name": row.name, "size_bytes": row.size_bytes}
            )
            return gone

    def blobs_of(self, who: Principal, ref: str) -> Iterator[str]:
        """Go through the blobs to which purging something would end a reference."""
        self.govern.permit(who, "admin", "the trash")
        with self._db.read() as tx:
            yield from store.blobs_of(tx, ref=ref)

    def restore(self, who: Principal, ref: str) -> None:
        """Bring a model with its versions, or one version, back under its name and number.

        Aliases come back as far as they do not point elsewhere by now. Raises NotInTrash, ModelExists where the name is
        used again, and ModelNotFound where a version's model is gone.
        """
        self.govern.permit(who, "write", ref)
        now = now_us()
        with self._db.write() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
            tx.lock(f"registry.model:{row.model}")
            snapshot = store.snapshot(tx, ref=ref)
            if not store.take(tx, ref=ref):
                raise _not_in_trash(ref)
            described = snapshot.pop("description", [["", now]])[0]
            if row.version is None:
                self._revive(tx, who, row, description=described[0], created_us=described[1], now=now)
            elif registry_store.model(tx, name=row.model) is None:
                raise ModelNotFound(f"Restore the model {row.model} first.", field="ref")
            self._restore_aliases(tx, who, row, snapshot, now=now)
            store.put_back(tx, snapshot)
            self.govern.audit(tx, who, "registry.restore", ref, detail={"versions": row.versions})
            event = ModelRestored(name=row.model, version=row.version, versions=row.versions)
            self._bus.emit(tx, event, subject=refs.model(row.model, row.version), actor=who.id)

    def _revive(
        self, tx: Tx, who: Principal, row: Row, *, description: str, created_us: int, now: int
    ) -> None:
        made = registry_store.insert_model(
            tx, name=row.model, description=description, now_us=now, created_by=who.id, created_us=created_us
        )
        if not made:
            raise ModelExists(
                f"The name {row.model!r} is in use again: rename that model first.", field="ref"
            )

    def _restore_aliases(self, tx: Tx, who: Principal, row: Row, snapshot: Snapshot, *, now: int) -> None:
        kept: list[list[object]] = []
        for _, alias, version in snapshot.get("registry_alias", []):
            if aliases.alias(tx, name=row.model, alias=alias) is None:
                kept.append([row.model, alias, version])
                aliases.insert_alias_move(
                    tx,
                    name=row.model,
                    alias=alias,
                    version=version,
                    previous=None,
                    at_us=now,
                    actor=who.id,
                    reason="restored from the trash",
                    evidence=None,
                )
        snapshot["registry_alias"] = kept

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Go through the blobs that deleted versions still need."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from store.blobs(tx)


def _is_held(row: Row, held: dict[str, str]) -> bool:
    name = refs.model(row.model)
    if name in held:
        return True
    if row.version is not None:
        return refs.model(row.model, row.version) in held
    return any(ref.rpartition("/")[0] == name for ref in held)


def _purged(row: Row) -> Purged:
    return Purged(int(row.kind == "model"), row.versions, row.files, row.size_bytes)


def _in_trash(row: Row | None, ref: str) -> Row:
    if row is None:
        raise _not_in_trash(ref)
    return row


def _not_in_trash(ref: str) -> NotInTrash:
    return NotInTrash(f"{ref[:200]} is not in the trash.")
