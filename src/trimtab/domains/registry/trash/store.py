"""The table of the registry's trash, and the rows that go into it and come back."""

from collections.abc import Iterator
from typing import Any

import msgspec

from trimtab.domains.registry.trash.model import Row, Snapshot
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")

MODEL_TABLES: dict[str, tuple[str, ...]] = {
    "registry_model_tag": ("model", "key", "value"),
    "registry_environment": ("model", "name", "place", "move", "after", "needs_gate", "verdicts"),
}
"""What belongs to a model as a whole, column by column."""

VERSION_TABLES: dict[str, tuple[str, ...]] = {
    "registry_version": (
        *(
            "model",
            "version",
            "created_us",
            "created_by",
            "updated_us",
            "stage",
            "source",
            "location",
            "run_id",
        ),
        *("run_link", "model_id", "description", "format", "safe", "digest", "size_bytes", "files", "facts"),
        *("metrics", "data"),
    ),
    "registry_version_tag": ("model", "version", "key", "value"),
    "registry_version_file": ("model", "version", "path", "blob", "size_bytes"),
    "registry_alias": ("model", "alias", "version"),
    "registry_gate": (
        *("id", "model", "version", "at_us", "actor", "verdict", "champion", "checks", "evidence"),
    ),
    "registry_compilation": ("model", "version", "at_us", "state", "verdict", "blob", "size_bytes"),
    "registry_scan": ("model", "version", "at_us", "verdict", "findings"),
    "registry_estimate": (
        *(
            "model",
            "version",
            "key",
            "data",
            "estimate",
            "low",
            "high",
            "level",
            "method",
            "row_count",
            "at_us",
        ),
        "actor",
    ),
}
"""What belongs to a version."""


def collect(tx: Tx, *, model: str, version: int | None) -> Snapshot:
    """Return all rows of a version, or of a model with its versions."""
    found: dict[str, list[list[Any]]] = {}
    for table, columns in VERSION_TABLES.items():
        found[table] = _rows(tx, table, columns, Where().equals(model=model, version=version))
    if version is None:
        for table, columns in MODEL_TABLES.items():
            found[table] = _rows(tx, table, columns, Where().equals(model=model))
    return found


def _rows(tx: Tx, table: str, columns: tuple[str, ...], where: Where) -> list[list[Any]]:
    query = Q.rows.with_(columns=", ".join(columns), table=table, where=where.sql)
    return [list(row) for row in tx.all(query, **where.params)]


def put_back(tx: Tx, snapshot: Snapshot) -> None:
    """Write the rows again; raises Duplicate where something has their place."""
    for table, rows in snapshot.items():
        columns = (VERSION_TABLES | MODEL_TABLES)[table]
        if rows:
            query = Q.put_back.with_(
                table=table, columns=", ".join(columns), values=", ".join(f":{one}" for one in columns)
            )
            tx.many(query, [dict(zip(columns, row, strict=True)) for row in rows])


def put(tx: Tx, row: Row, snapshot: Snapshot) -> None:
    tx.run(Q.put, **msgspec.structs.asdict(row), snapshot=msgspec.json.encode(snapshot).decode())


def item(tx: Tx, *, ref: str) -> Row | None:
    row = tx.one(Q.item, ref=ref)
    return Row(*row) if row else None


def items(tx: Tx, *, where: Where, limit: int) -> list[Row]:
    """Return entries, the newest first."""
    return [Row(*row) for row in tx.all(Q.items.with_(where=where.sql), limit=limit, **where.params)]


def due(tx: Tx, *, before_us: int, after: str, limit: int) -> list[str]:
    """Return references of what was deleted before a moment, in their order."""
    return [ref for (ref,) in tx.all(Q.due, before_us=before_us, after=after, limit=limit)]


def snapshot(tx: Tx, *, ref: str) -> Snapshot:
    row = tx.one(Q.snapshot, ref=ref)
    return msgspec.json.decode(row[0], type=dict[str, list[list[Any]]]) if row else {}


def collected_versions(tx: Tx, *, ref: str) -> list[int]:
    """Return the numbers of the versions that were deleted with a model."""
    return [row[1] for row in snapshot(tx, ref=ref).get("registry_version", [])]


def blobs_of(tx: Tx, *, ref: str) -> Iterator[str]:
    """Go through the blobs of what was deleted."""
    kept = snapshot(tx, ref=ref)
    for table in ("registry_version_file", "registry_compilation"):
        place = VERSION_TABLES[table].index("blob")
        yield from (row[place] for row in kept.get(table, []) if row[place] is not None)


def blobs(tx: Tx) -> Iterator[str]:
    """Go through the blobs of all deleted versions."""
    for (ref,) in tx.all(Q.refs):
        yield from blobs_of(tx, ref=ref)


def take(tx: Tx, *, ref: str) -> bool:
    """Remove an entry; return whether it was there. Of two that try, one waits for the other and gets False."""
    return tx.run(Q.take, ref=ref) == 1
