"""The database port: plain SQL, one writer, snapshot readers; SQLite and PostgreSQL behind one face."""

from trimtab.infra.db.port import Database, Duplicate, Tx
from trimtab.infra.db.queries import Query, load
from trimtab.infra.db.where import Where, comparison

__all__ = ["Database", "Duplicate", "Query", "Tx", "Where", "comparison", "connect", "load"]


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
