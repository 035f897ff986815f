"""The database port: plain SQL, one writer, snapshot readers; SQLite and PostgreSQL behind one face."""

from pathlib import Path

from trimtab.infra.db.port import Database, Duplicate, Tx
from trimtab.infra.db.queries import Query, load
from trimtab.infra.db.where import Where, comparison

__all__ = ["Database", "Duplicate", "Query", "Tx", "Where", "comparison", "connect", "load", "mark"]


def connect(url: str) -> Database:
    """Open the database of a ``sqlite:///FILE`` or ``postgresql://...`` URL.

    Raises Invalid for any other scheme, and Unavailable when the engine does not answer.
    """
    scheme = url.partition(":")[0]
    match scheme:
        case "sqlite":
            from trimtab.infra.db.sqlite import SQLiteDatabase

            return SQLiteDatabase(url)
        case "postgresql" | "postgres":
            from trimtab.infra.db.postgres import PostgresDatabase

            return PostgresDatabase(url)
        case _:
            from trimtab.kernel.errors import Invalid, did_you_mean

            hint = did_you_mean(scheme, ["sqlite", "postgresql"])
            raise Invalid(f"No database engine for {scheme}:// (sqlite, postgresql).{hint}", field="database")


def mark(url: str) -> str | None:
    """Return a text that changes whenever a database that nobody has open was changed, None where only asking it tells."""
    if not url.startswith("sqlite:"):
        return None
    file = Path(url.removeprefix("sqlite:///"))
    parts = (file, file.with_name(f"{file.name}-wal"))
    found = [path.stat() for path in parts if path.exists() and path.stat().st_size]  # a log may stay, empty
    return " ".join(f"{one.st_dev}:{one.st_ino}:{one.st_size}:{one.st_mtime_ns}" for one in found)
