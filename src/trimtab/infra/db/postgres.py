"""PostgreSQL behind the database port, through psycopg 3 and its connection pool."""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, cast

from trimtab.infra.db.port import Dialect, Duplicate, Row
from trimtab.infra.db.queries import Query
from trimtab.kernel.errors import Unavailable

try:
    import psycopg
    from psycopg.abc import QueryNoTemplate
    from psycopg.errors import UniqueViolation
    from psycopg_pool import ConnectionPool, PoolTimeout
except ImportError as missing:
    raise Unavailable("PostgreSQL needs the extra 'postgres': pip install 'trimtab[postgres]'.") from missing

_CONNECT_TIMEOUT_S = 10.0
_MOST_CONNECTIONS = 10


class PostgresTx:
    """A transaction on one pooled connection."""

    dialect: Dialect = "postgresql"

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection
        self.last_calls: list[Callable[[], None]] = []
        self.calls: list[Callable[[], None]] = []

    def all(self, query: Query, /, **params: Any) -> list[Row]:
        return self._execute(query, params).fetchall()

    def one(self, query: Query, /, **params: Any) -> Row | None:
        return self._execute(query, params).fetchone()

    def run(self, query: Query, /, **params: Any) -> int:
        return self._execute(query, params).rowcount

    def many(self, query: Query, params: Sequence[Mapping[str, Any]], /) -> None:
        if len(params) == 1:  # a pipeline for one takes twice as long
            self._execute(query, params[0])
            return
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_sql(query.postgresql), params)
        except UniqueViolation as error:
            raise Duplicate("An object with this key exists already.") from error

    def script(self, statements: Sequence[str], /) -> None:
        for statement in statements:
            self._connection.execute(_sql(statement))

    def lock(self, name: str, /, *, shared: bool = False) -> None:
        statement = (
            "select pg_advisory_xact_lock_shared(%s)" if shared else "select pg_advisory_xact_lock(%s)"
        )
        self._connection.execute(statement, (_lock_number(name),))

    def before_commit(self, call: Callable[[], None], /) -> None:
        self.last_calls.append(call)

    def after_commit(self, call: Callable[[], None], /) -> None:
        self.calls.append(call)

    def _execute(self, query: Query, params: Mapping[str, Any]) -> "psycopg.Cursor[Row]":
        try:
            # In text, bytes would come as twice as many digits.
            return self._connection.cursor(binary=True).execute(_sql(query.postgresql), params)
        except UniqueViolation as error:
            raise Duplicate("An object with this key exists already.") from error


def _lock_number(name: str) -> int:
    """Return 64 bits for a name: with 32, two names would soon share a lock and wait for each other in a circle."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def _sql(text: str) -> "QueryNoTemplate":
    """Vouch for a statement: it comes from a queries.sql file, and values are bound apart from it."""
    return cast(LiteralString, text)


class PostgresDatabase:
    """A PostgreSQL database of version 15 or later."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            url,
            min_size=1,
            max_size=_MOST_CONNECTIONS,
            timeout=_CONNECT_TIMEOUT_S,
            open=False,
            kwargs={"autocommit": True, "options": "-c timezone=UTC -c statement_timeout=120000"},
        )
        try:
            self._pool.open(wait=True, timeout=_CONNECT_TIMEOUT_S)
        except (PoolTimeout, psycopg.Error) as error:
            self._pool.close()
            raise Unavailable("PostgreSQL does not answer at the configured address.") from error

    @contextmanager
    def read(self) -> Generator[PostgresTx]:
        with self._begun("begin isolation level repeatable read read only") as connection:
            yield PostgresTx(connection)

    @contextmanager
    def write(self) -> Generator[PostgresTx]:
        with self._begun("begin") as connection:
            tx = PostgresTx(connection)
            yield tx
            for call in tx.last_calls:
                call()
        for call in tx.calls:
            call()

    @contextmanager
    def _begun(self, begin: LiteralString) -> "Generator[psycopg.Connection[Row]]":
        """Return a connection in a transaction, which is committed at the end of the block."""
        try:
            with self._pool.connection() as connection:
                connection.execute(begin)
                yield connection
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable(f"PostgreSQL is not available: {type(error).__name__}.") from error

    def reclaim(self, *, whole: bool = False) -> int:  # noqa: ARG002 - the port has it
        return 0  # autovacuum does so by itself

    def close(self) -> None:
        self._pool.close()
